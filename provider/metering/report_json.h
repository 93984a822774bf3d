#pragma once

#include "provider/metering/report.h"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace farlet::metering {

// What a node answers: whole numbers only, in the units of the ledger, so that whoever sums up
// nodes can do it exactly.
nlohmann::json ReportToJson(const Report& report);
// kInvalidArgument, naming the field.
Result<Report> ReportFromJson(const nlohmann::json& json);

// Exact decimals without needless zeros: thousandths of CPUs as CPUs ("0.25"), MiB as GB, which are
// GiB with AWS ("0.5").
std::string CpuText(int64_t milli_cpus);
std::string GigabyteText(int64_t mebibytes);

}  // namespace farlet::metering
