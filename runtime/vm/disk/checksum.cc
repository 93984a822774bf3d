#include "runtime/vm/disk/checksum.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace farlet::disk {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;
constexpr size_t kSlices = 8;
constexpr size_t kBlockBytes = 4096;
constexpr size_t kChunkBytes = 256u << 10;

using Tables = std::array<std::array<uint32_t, 256>, kSlices>;

// tables[k][b]: the effect of byte b with k zero bytes behind it, for eight bytes a step.
constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kPolynomial : 0);
    }
    tables[0][byte] = crc;
  }
  for (size_t slice = 1; slice < kSlices; ++slice) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8U) ^ tables[0][before & 0xffU];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

bool IsZero(std::span<const std::byte> bytes) {
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// Each block that holds something, with its place.
uint32_t AddBlocks(uint32_t crc, uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto block = bytes.subspan(0, std::min(kBlockBytes, bytes.size()));
    if (!IsZero(block)) {
      crc = Crc32c(crc, std::as_bytes(std::span(&offset, 1)));
      crc = Crc32c(crc, block);
    }
    offset += block.size();
    bytes = bytes.subspan(block.size());
  }
  return crc;
}

}  // namespace

uint32_t Crc32c(uint32_t crc, std::span<const std::byte> bytes) {
  while (bytes.size() >= kSlices) {
    uint64_t word = 0;  // little endian, as are the machines that farlet runs on
    std::memcpy(&word, bytes.data(), sizeof(word));
    word ^= crc;
    crc = 0;
    for (size_t i = 0; i < kSlices; ++i) {
      crc ^= kTables[kSlices - 1 - i][(word >> (8 * i)) & 0xffU];
    }
    bytes = bytes.subspan(kSlices);
  }
  for (const std::byte byte : bytes) {
    crc = (crc >> 8U) ^ kTables[0][(crc ^ static_cast<uint32_t>(byte)) & 0xffU];
  }
  return crc;
}

Result<uint32_t> ChecksumOf(int fd, uint64_t bytes) {
  std::vector<std::byte> buffer(kChunkBytes);
  uint32_t crc = ~0U;
  off_t offset = 0;
  const auto end = static_cast<off_t>(bytes);
  while (offset < end) {
    const off_t data = ::lseek(fd, offset, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      break;  // nothing but a hole follows
    }
    // Whole blocks, so that a block's content does not depend on where data begins.
    offset =
        std::max(offset, data / static_cast<off_t>(kBlockBytes) * static_cast<off_t>(kBlockBytes));
    if (offset >= end) {
      break;
    }
    size_t filled = 0;
    const size_t wanted = std::min<size_t>(buffer.size(), static_cast<size_t>(end - offset));
    while (filled < wanted) {
      const ssize_t count =
          ::pread(fd, buffer.data() + filled, wanted - filled, offset + static_cast<off_t>(filled));
      if (count < 0 && errno != EINTR) {
        return ErrnoError(errno, "read for checksum");
      }
      if (count == 0) {
        return MakeError(Code::kDataLoss, "read for checksum: the file is too short");
      }
      filled += count > 0 ? static_cast<size_t>(count) : 0;
    }
    crc = AddBlocks(crc, static_cast<uint64_t>(offset), std::span(buffer).subspan(0, filled));
    offset += static_cast<off_t>(filled);
  }
  return crc;
}

}  // namespace farlet::disk
