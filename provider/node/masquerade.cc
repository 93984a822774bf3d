#include "provider/node/masquerade.h"

#include <fmt/format.h>

#include <nftables/libnftables.h>

#include <memory>

namespace farlet::node {
namespace {

bool IsV4(const std::string& cidr) {
  return cidr.find(':') == std::string::npos;
}

void AppendFamily(std::string& script,
                  const std::string& table,
                  const std::vector<std::string>& pod_cidrs,
                  bool v4) {
  const char* family = v4 ? "ip" : "ip6";
  // Declared first, so that the deletion never fails; all of it is one transaction.
  script += fmt::format("table {0} {1} {{ }}\ndelete table {0} {1}\n", family, table);
  std::string rules;
  for (const std::string& cidr : pod_cidrs) {
    if (IsV4(cidr) == v4) {
      rules += fmt::format("    {0} saddr {1} {0} daddr != {{ {1}, {2} }} masquerade\n", family,
                           cidr, v4 ? "224.0.0.0/4" : "ff00::/8");
    }
  }
  if (!rules.empty()) {
    script += fmt::format(
        "table {} {} {{\n  chain postrouting {{\n"
        "    type nat hook postrouting priority 100; policy accept;\n{}  }}\n}}\n",
        family, table, rules);
  }
}

}  // namespace

std::string FormatMasquerade(const std::string& table, const std::vector<std::string>& pod_cidrs) {
  std::string script;
  AppendFamily(script, table, pod_cidrs, true);
  AppendFamily(script, table, pod_cidrs, false);
  return script;
}

Status ApplyMasquerade(const std::string& table, const std::vector<std::string>& pod_cidrs) {
  const std::unique_ptr<nft_ctx, decltype(&nft_ctx_free)> context(nft_ctx_new(NFT_CTX_DEFAULT),
                                                                  &nft_ctx_free);
  if (context == nullptr || nft_ctx_buffer_error(context.get()) != 0 ||
      nft_ctx_buffer_output(context.get()) != 0) {
    return Internal("masquerade pods: cannot set up nftables");
  }
  if (nft_run_cmd_from_buffer(context.get(), FormatMasquerade(table, pod_cidrs).c_str()) != 0) {
    const char* said = nft_ctx_get_error_buffer(context.get());
    return Internal(
        fmt::format("masquerade pods: nftables: {}", said == nullptr ? "no reason given" : said));
  }
  return {};
}

}  // namespace farlet::node
