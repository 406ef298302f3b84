#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tenon::frontends {

// The CRC-32 of zip archives (polynomial 0xEDB88320), on all cores for long data.
uint32_t crc32(std::span<const std::byte> bytes);

}  // namespace tenon::frontends
