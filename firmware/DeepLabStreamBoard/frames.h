// Frames on the line: COBS, so that a zero byte always ends a frame, and a checksum.
#pragma once
#include <stdint.h>

#include "protocol.h"

struct Frame {
  uint8_t sequence, kind, length;  // length: of the payload
  const uint8_t *payload;
};

enum Heard : uint8_t { NOTHING, A_FRAME, NOISE };

// Take one byte from the line; `frame` is valid until the next call.
Heard frames_take(uint8_t byte, Frame &frame);

// Checksums of all frames but HELLO start at this number from now on; 0: all are refused.
void frames_session(uint16_t session);
uint16_t frames_session();

// Send a frame, waiting while the line is busy. Not from an interrupt.
void frames_send(uint8_t kind, const uint8_t *payload, uint8_t length);

inline uint16_t read16(const uint8_t *bytes) { return bytes[0] | (uint16_t)bytes[1] << 8; }
inline uint32_t read32(const uint8_t *bytes) {
  return read16(bytes) | (uint32_t)read16(bytes + 2) << 16;
}
inline void put16(uint8_t *bytes, uint16_t value) {
  bytes[0] = value;
  bytes[1] = value >> 8;
}
inline void put32(uint8_t *bytes, uint32_t value) {
  put16(bytes, value);
  put16(bytes + 2, value >> 16);
}
