#include "provider/fargate/names.h"

namespace farlet::fargate {

Names::Names() : Names("eks.amazonaws.com") {}

Names::Names(std::string_view prefix)
    : profile_label(std::string(prefix) + "/fargate-profile"),
      compute_type(std::string(prefix) + "/compute-type") {}

}  // namespace farlet::fargate
