#include "proto/cri/v1/api.grpc.pb.h"
#include "tests/fakes/cri/fake_convert.h"
#include "tests/fakes/cri/fake_serve.h"

#include <grpcpp/server_context.h>

namespace farlet::testing {
namespace {

namespace pb = ::runtime::v1;
using grpc::ServerContext;

class ImageService final : public pb::ImageService::Service {
 public:
  explicit ImageService(FakeBackend& backend) : backend_(backend), runtime_(backend.runtime) {}

  grpc::Status ImageStatus(ServerContext* context,
                           const pb::ImageStatusRequest* request,
                           pb::ImageStatusResponse* response) override {
    return ServeFake(backend_, "ImageStatus", request->image().image(), context, [&] {
      const auto image = runtime_.FindImage(request->image().image());
      if (image && image->present) {
        Write(*image, response->mutable_image());
      }
      return Status();
    });
  }

  grpc::Status PullImage(ServerContext* context,
                         const pb::PullImageRequest* request,
                         pb::PullImageResponse* response) override {
    return ServeFake(backend_, "PullImage", request->image().image(), context, [&]() -> Status {
      FARLET_ASSIGN(*response->mutable_image_ref(),
                    runtime_.Pull(request->image().image(), ReadAuth(request->auth()),
                                  CancelledOf(backend_, context)));
      return {};
    });
  }

  grpc::Status ListImages(ServerContext* context,
                          const pb::ListImagesRequest* /*request*/,
                          pb::ListImagesResponse* response) override {
    return ServeFake(backend_, "ListImages", "", context, [&] {
      for (const FakeRuntime::Image& image : runtime_.Images()) {
        if (image.present) {
          Write(image, response->add_images());
        }
      }
      return Status();
    });
  }

  grpc::Status ImageFsInfo(ServerContext* context,
                           const pb::ImageFsInfoRequest* /*request*/,
                           pb::ImageFsInfoResponse* response) override {
    return ServeFake(backend_, "ImageFsInfo", "", context, [&] {
      pb::FilesystemUsage* usage = response->add_image_filesystems();
      usage->mutable_fs_id()->set_mountpoint("/var/lib/fake");
      usage->mutable_used_bytes()->set_value(1 << 20);
      usage->mutable_inodes_used()->set_value(100);
      return Status();
    });
  }

 private:
  static void Write(const FakeRuntime::Image& image, pb::Image* to) {
    to->set_id(image.spec.id);
    to->add_repo_tags(image.reference);
    to->set_size(image.spec.size_bytes);
    if (image.spec.uid) {
      to->mutable_uid()->set_value(*image.spec.uid);
    }
    to->set_username(image.spec.username);
  }

  FakeBackend& backend_;
  FakeRuntime& runtime_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeImageService(FakeBackend& backend) {
  return std::make_unique<ImageService>(backend);
}

}  // namespace farlet::testing
