#include "runtime/cri/convert.h"
#include "runtime/cri/deadlines.h"
#include "runtime/cri/grpc_client_impl.h"

#include <utility>

namespace farlet::cri {

void GrpcClient::ImageStatus(const std::string& image,
                             Callback<std::shared_ptr<const Image>> done) {
  using Found = std::shared_ptr<const Image>;
  pb::ImageStatusRequest request;
  request.mutable_image()->set_image(image);
  StartUnary<Found>(
      scope_, "ImageStatus", image_->async(), &ImageStub::ImageStatus, std::move(request),
      deadlines::kCall,
      [](const pb::ImageStatusResponse& response) -> Result<Found> {
        if (!response.has_image()) {
          return Found();
        }
        FARLET_ASSIGN(Image found, FromImage(response.image(), "ImageStatus"));
        return std::make_shared<const Image>(std::move(found));
      },
      std::move(done));
}

void GrpcClient::PullImage(const std::string& image,
                           const ImageAuth& auth,
                           const SandboxConfig* sandbox_config,
                           Callback<std::string> done) {
  pb::PullImageRequest request;
  request.mutable_image()->set_image(image);
  ToImageAuth(auth, request.mutable_auth());
  if (sandbox_config != nullptr) {
    ToSandboxConfig(*sandbox_config, request.mutable_sandbox_config());
  }
  StartUnary<std::string>(
      scope_, "PullImage", image_->async(), &ImageStub::PullImage, std::move(request),
      deadlines::kNone,
      [](const pb::PullImageResponse& response) {
        return RequireText(response.image_ref(), "PullImage", "image_ref");
      },
      std::move(done));
}

void GrpcClient::ListImages(Callback<std::vector<Image>> done) {
  StartUnary<std::vector<Image>>(
      scope_, "ListImages", image_->async(), &ImageStub::ListImages, pb::ListImagesRequest(),
      deadlines::kCall,
      [](const pb::ListImagesResponse& response) -> Result<std::vector<Image>> {
        std::vector<Image> images;
        for (const pb::Image& item : response.images()) {
          FARLET_ASSIGN(Image image, FromImage(item, "ListImages"));
          images.push_back(std::move(image));
        }
        return images;
      },
      std::move(done));
}

void GrpcClient::ImageFsInfo(Callback<std::vector<FilesystemUsage>> done) {
  StartUnary<std::vector<FilesystemUsage>>(
      scope_, "ImageFsInfo", image_->async(), &ImageStub::ImageFsInfo, pb::ImageFsInfoRequest(),
      deadlines::kCall,
      [](const pb::ImageFsInfoResponse& response) -> Result<std::vector<FilesystemUsage>> {
        return FromFilesystems(response);
      },
      std::move(done));
}

}  // namespace farlet::cri
