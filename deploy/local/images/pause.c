/* The first process of a pod sandbox: it holds the sandbox's namespaces, reaps processes that lost their
 * parent when the pod shares one process namespace, and ends when it is told to. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_terminate(int signal_number) {
  (void)signal_number;
  _exit(0);
}

static void on_child(int signal_number) {
  (void)signal_number;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

static int handle(int signal_number, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigemptyset(&action.sa_mask);
  return sigaction(signal_number, &action, NULL);
}

int main(void) {
  if (handle(SIGINT, on_terminate, 0) != 0 || handle(SIGTERM, on_terminate, 0) != 0 ||
      handle(SIGCHLD, on_child, SA_NOCLDSTOP) != 0) {
    perror("pause: sigaction");
    return EXIT_FAILURE;
  }
  for (;;) {
    pause();
  }
}
