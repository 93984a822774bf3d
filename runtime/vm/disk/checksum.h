#pragma once

#include "runtime/base/result.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace farlet::disk {

// CRC-32C (Castagnoli), reflected, without the inversions before and after, so that it continues:
// Crc32c(Crc32c(seed, a), b) == Crc32c(seed, a + b).
uint32_t Crc32c(uint32_t crc, std::span<const std::byte> bytes);

// Over the first `bytes` of a file and what is not zero in them: as fast as the data, whatever the
// holes, and the same whether zeros are stored or not.
Result<uint32_t> ChecksumOf(int fd, uint64_t bytes);

}  // namespace farlet::disk
