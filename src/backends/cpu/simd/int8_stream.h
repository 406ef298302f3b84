#pragma once

#include "backends/cpu/simd/int8_parts.h"

// One or two rows of x with a run of panels that memory has to deliver. The run is cut into as many
// parts as there are streams, and their panels go side by side: streams that lie far apart read
// faster than one does, and panels share what is loaded of x.
namespace tenon::cpu::TENON_ISA {

constexpr int kMostStreamedRows = 2;
// Panels side by side, so that sums and totals of `m` rows stay in registers.
template <int m>
constexpr int kStreams = kRegisters == 32 && kLanes == 16 ? 4 / m : 1;

// A core drops a prefetch when its queue of misses is full, so each line is asked for three times.
// Asked again here is what the loop of the read rate (ceilings_x86.cc) asks for.
inline void fetch_streamed(const void* at) {
  auto* line = static_cast<const char*>(at);
  fetch_into_l1(line + 1024);
  fetch_into_l2(line + 2048);
  fetch_into_l2(line + 4096);
}

// A group has one line of scales (two of f32) for eight of codes.
inline void fetch_scales(const PanelScales& scales, int64_t index) {
  int64_t bytes = scales.half ? 2 : 4;
  auto* line = static_cast<const char*>(scales.scales) + index * bytes;
  for (int64_t i = 0; i < kPanel * bytes; i += 64) {
    fetch_into_l1(line + i + 256 * bytes / 2);
    fetch_into_l2(line + i + 512 * bytes / 2);
  }
}

// `streams` panels from `tile`'s on, `apart` panels from one to the next.
template <int streams, int m, bool packed>
struct StreamedPanels {
  static constexpr int64_t kBytes = packed ? kUnitBytes / 2 : kUnitBytes;  // of a unit
  // Streams take turns of 256 bytes, and lines are asked for two by two, beside what is used: a
  // core that asks for 1 KiB of one stream at a time reads a sixth slower. In units:
  static constexpr int kTurn = streams == 1 ? 8 : packed ? 4 : 2;
  static constexpr int kOnce = streams == 1 ? 8 : packed ? 2 : 1;

  const Int8Tile& tile;
  int64_t codes_apart, scales_apart, columns_apart;
  int part;
  const int8_t* x = tile.x + tile.x_first;
  int64_t left = kInt8Block - tile.x_first;  // inputs of the block
  const uint8_t* codes = tile.codes + part * kPart * 4;

  using Sums = I[streams][m][kVectors];
  using Totals = F[streams][m][kVectors];

  // The first part of a panel fetches for all. Known to the compiler where there is only one: it
  // would move loads over a branch and keep them on the stack.
  __attribute__((always_inline)) bool fetches() const { return kPart == kPanel || part == 0; }

  // A loop that is unrolled by its type: gcc -O2 keeps some of these loops, and 3 % of the time.
  template <int piece>
  __attribute__((always_inline)) void add_pieces(Sums& sums) const {
    constexpr int kPieces = kTurn / kOnce, s = piece / kPieces % streams;
    constexpr int unit = piece / (kPieces * streams) * kTurn + piece % kPieces * kOnce;
    if constexpr (unit < 8) {
      const uint8_t* from = codes + s * codes_apart + unit * kBytes;
      if (fetches()) {
#pragma GCC unroll 16
        for (int64_t i = 0; i < kOnce * kBytes; i += 64) fetch_streamed(from + i);
      }
      add_units<m, packed, kInt8Pitch, kUnitBytes, kOnce>(x + unit * 4, from, sums[s]);
      add_pieces<piece + 1>(sums);
    }
  }

  __attribute__((always_inline)) void add_step(Sums& sums) {
    if (left == 0) {
      x += tile.x_block - kInt8Block;
      left = kInt8Block;
    }
    add_pieces<0>(sums);
    x += 32;
    left -= 32;
    codes += 8 * kBytes;
  }

  __attribute__((always_inline)) void begin(int64_t group, Sums& sums) const {
#pragma GCC unroll 4
    for (int s = 0; s < streams; ++s) {
      const uint8_t* zeros = tile.scales.zeros;
      if (zeros) zeros += s * scales_apart;
      begin_group<m, packed>(tile, zeros, group, part, sums[s]);
      to_blocks(sums[s]);
    }
  }

  // totals += the sums of a group. fma is spelled out: left to the compiler, it would differ from
  // file to file.
  __attribute__((always_inline)) void end(int64_t group, Sums& sums, Totals& totals) const {
#pragma GCC unroll 4
    for (int s = 0; s < streams; ++s) {
      from_blocks(sums[s]);
      int64_t column = s * scales_apart + group * kPanel + part * kPart;
      if (fetches()) fetch_scales(tile.scales, column);
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) {
        F scale = scales_at(tile.scales, column + j * kLanes);
#pragma GCC unroll 2
        for (int i = 0; i < m; ++i)
          totals[s][i][j] = fma(to_floats(sums[s][i][j]), scale, totals[s][i][j]);
      }
    }
  }

  // The only group: no sum, so that the order of products is that of tiles.
  __attribute__((always_inline)) void scale_all(Sums& sums, Totals& totals) const {
#pragma GCC unroll 4
    for (int s = 0; s < streams; ++s) {
      from_blocks(sums[s]);
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) {
        F scale = scales_at(tile.scales, s * scales_apart + part * kPart + j * kLanes);
#pragma GCC unroll 2
        for (int i = 0; i < m; ++i) totals[s][i][j] = mul(to_floats(sums[s][i][j]), scale);
      }
    }
  }

  void store_all(const Totals& totals) const {
    for (int i = 0; i < m; ++i) {
      F scale = set(tile.x_scales[i]);
      for (int s = 0; s < streams; ++s) {
        float* to = tile.c + i * tile.c_pitch + s * columns_apart + part * kPart;
        for (int j = 0; j < kVectors; ++j) store(to + j * kLanes, mul(totals[s][i][j], scale));
      }
    }
  }

  void run() {
    Sums sums;
    Totals totals;
    if (tile.scales.groups == 1) {
      begin(0, sums);
      for (int64_t unit = 0; unit < tile.scales.units; unit += 8) add_step(sums);
      scale_all(sums, totals);
      return store_all(totals);
    }
#pragma GCC unroll 4
    for (int s = 0; s < streams; ++s) {
#pragma GCC unroll 2
      for (int i = 0; i < m; ++i) totals[s][i][0] = totals[s][i][1] = zero();
    }
    for (int64_t group = 0; group < tile.scales.groups; ++group) {
      begin(group, sums);
      for (int64_t unit = 0; unit < tile.scales.units; unit += 8) add_step(sums);
      end(group, sums, totals);
    }
    store_all(totals);
  }
};

// `panels` panels that lie behind each other, columns of y likewise.
template <int m, bool packed, int streams = kStreams<m>>
void stream_panels(Int8Tile tile, int64_t panels) {
  int64_t scales = tile.scales.groups * kPanel;
  int64_t codes = scales * tile.scales.units * (packed ? 2 : 4);
  int64_t apart = (kStreamsApart + codes - 1) / codes;
  while (panels >= streams) {
    if (apart * streams > panels || streams == 1) apart = panels / streams;
    for (int64_t panel = 0; panel < apart; ++panel) {
      Int8Tile one = tile;
      one.codes += panel * codes;
      one.scales = scales_behind(tile.scales, panel * scales);
      one.c += panel * kPanel;
      for (int part = 0; part < kPanel / kPart; ++part) {
        StreamedPanels<streams, m, packed>{one, apart * codes, apart * scales, apart * kPanel, part}
            .run();
      }
    }
    int64_t done = apart * streams;
    tile.codes += done * codes;
    tile.scales = scales_behind(tile.scales, done * scales);
    tile.c += done * kPanel;
    panels -= done;
  }
  if constexpr (streams > 1) {
    if (panels > 0) stream_panels<m, packed, 1>(tile, panels);
  }
}

}  // namespace tenon::cpu::TENON_ISA
