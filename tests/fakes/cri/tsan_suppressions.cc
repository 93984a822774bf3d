// Compiled into every test that talks gRPC. The distribution's gRPC is not built for the thread
// sanitizer, which therefore misses the locks by which gRPC hands a call from one thread to another
// and takes each hand-over for a race. What happens between our own threads is still watched;
// RuntimeCacheThreadsTest does so without any gRPC.

#ifdef __SANITIZE_THREAD__

// NOLINTNEXTLINE(bugprone-reserved-identifier): the sanitizer's name for it.
extern "C" const char* __tsan_default_options() {
  return "ignore_noninstrumented_modules=1";
}

// NOLINTNEXTLINE(bugprone-reserved-identifier): the sanitizer's name for it.
extern "C" const char* __tsan_default_suppressions() {
  return "race:libgrpc\n"
         "race:libprotobuf\n"
         "mutex:libgrpc\n"
         "race:grpc::\n"
         "race:grpc_\n"
         "race:std::function<void (bool)>::operator()\n";
}

#endif
