#include "frames.h"

#include <Arduino.h>

static uint16_t session;
static uint8_t coded[LONGEST_FRAME + 1], plain[LONGEST_FRAME];
static uint8_t length;
static bool too_long;
static uint8_t sent;  // sequence of the next frame to the program

void frames_session(uint16_t number) {
  session = number;
  sent = 0;
}

uint16_t frames_session() { return session; }

static uint16_t checksum(uint16_t crc, const uint8_t *bytes, uint8_t size) {
  while (size--) {
    crc ^= (uint16_t)*bytes++ << 8;
    for (uint8_t bit = 0; bit < 8; bit++)
      crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return crc;
}

// Undo COBS from `coded` into `plain`; return the size, 0 if it is none.
static uint8_t decode() {
  uint8_t size = 0, at = 0;
  while (at < length) {
    uint8_t block = coded[at++];
    for (uint8_t left = block - 1; left; left--) {
      if (at == length) return 0;
      plain[size++] = coded[at++];
    }
    if (at < length) plain[size++] = 0;  // blocks of 254 bytes do not occur
  }
  return size;
}

Heard frames_take(uint8_t byte, Frame &frame) {
  if (byte != 0) {
    if (length < sizeof coded)
      coded[length++] = byte;
    else
      too_long = true;
    return NOTHING;
  }
  const uint8_t size = too_long ? 0 : decode();
  const bool empty = length == 0;
  length = 0;
  too_long = false;
  if (empty) return NOTHING;
  if (size < 4) return NOISE;
  const bool hello = plain[1] == HELLO;
  if (!hello && session == 0) return NOISE;
  const uint16_t start = hello ? 0xFFFF : session;
  if (checksum(start, plain, size - 2) != read16(plain + size - 2)) return NOISE;
  frame = {plain[0], plain[1], (uint8_t)(size - 4), plain + 2};
  return A_FRAME;
}

void frames_send(uint8_t kind, const uint8_t *payload, uint8_t size) {
  uint8_t out[LONGEST_FRAME];
  out[0] = sent++;
  out[1] = kind;
  for (uint8_t i = 0; i < size; i++) out[2 + i] = payload[i];
  size += 2;
  put16(out + size, checksum(session, out, size));
  size += 2;
  uint8_t at = 0;
  while (at <= size) {  // one more block than there are zeros
    uint8_t end = at;
    while (end < size && out[end] != 0) end++;
    Serial.write((uint8_t)(end - at + 1));
    Serial.write(out + at, end - at);
    at = end + 1;
  }
  Serial.write((uint8_t)0);
}
