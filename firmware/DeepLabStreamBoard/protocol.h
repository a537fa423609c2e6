// Protocol between program and board; outputs/board/protocol.py has the same numbers.
//
// A frame is COBS(sequence, kind, payload, checksum) and a zero byte. Numbers are little
// endian. The checksum is CRC-16/CCITT; it starts at 0xFFFF in HELLO and in all else at the
// session's number, drawn by the program: data of an earlier program counts as noise.
#pragma once
#include <stdint.h>

const uint8_t PROTOCOL = 1;
const uint8_t FIRMWARE_MAJOR = 1, FIRMWARE_MINOR = 2;
const uint32_t BAUDRATE = 500000;  // ignored by boards with their own USB

const uint8_t MOST_OUTPUTS = 8, MOST_INPUTS = 8;
const uint8_t LONGEST_FRAME = 40;  // sequence, kind, payload, checksum; before COBS

enum Kind : uint8_t {
  // from the program; each is answered by ACK (HELLO by IDENTITY, STATE? by STATE)
  HELLO = 0x01,      // protocol u8, session u16: all off, all pins forgotten
  CONFIGURE = 0x02,  // pin u8, mode u8, value u32: longest time on, or debounce, in us;
                     // outputs: watchdog_ms u16 (the board's is the shortest of all)
  SET = 0x03,        // pin u8, level u8
  TRAIN = 0x04,      // pin u8, level u8, width_us u32, period_us u32, count u32
  ALL_OFF = 0x05,
  HEARTBEAT = 0x06,  // heartbeat of the program's loop: the only message that resets the watchdog
  GET_STATE = 0x07,
  SYNC = 0x08,       // pin u8, pattern u8, first u32: number of the first code, or seed;
                     // period_us u32: from code to code, or mean interval. Since 1.1;
                     // FLASHES, which end when no command arrives for SILENCE_US, since 1.2
  COUNT_PULSES = 0x10,  // pin u8, side u8, dead_us u16. Since 1.2
  GENERATE = 0x11,   // pin u8, period_ns u32 (0: stop), width_us u32, dither_us u16, seed u16;
                     // stops when no command arrives for SILENCE_US. Since 1.2
  // from the board
  ACK = 0x81,        // sequence u8, status u8, board_us u32
  IDENTITY = 0x82,   // protocol, firmware major, minor, outputs, inputs u8, session u16,
                     // board_us u32, name
  INPUT_CHANGED = 0x83,   // pin u8, level u8, board_us u32: when the change began; also
                          // each edge of the sync pin
  WENT_OFF = 0x84,   // pin u8, cause u8, board_us u32: not by SET or ALL_OFF
  FAULT = 0x85,      // cause u8: all is off, nothing can be switched on before the next HELLO
  STATE = 0x86,      // sequence, latched cause u8, pins that are high (of outputs, a bit each
                     // in the order of CONFIGURE) u8, board_us u32
  PULSE = 0x90,      // pin u8, number u32, board_us u32; a gap in the numbers: pulses that
                     // came while the line was busy
};

enum Mode : uint8_t { DIGITAL_OUT = 1, PWM_OUT = 2, DIGITAL_IN = 3, PULLED_UP_IN = 4 };

enum Pattern : uint8_t { NO_SYNC = 0, RANDOM_PULSES = 1, BARCODES = 2, FLASHES = 3 };

enum PulseSide : uint8_t { NO_COUNT = 0, RISING_PULSES = 1, FALLING_PULSES = 2 };

enum Status : uint8_t {
  OK = 0,
  UNKNOWN = 1,       // no such command, or of another length
  BAD_PIN = 2,       // the board has no such pin, or the pin is reserved
  NOT_CONFIGURED = 3,
  NO_PWM = 4,
  BAD_VALUE = 5,
  FULL = 6,          // no more outputs, inputs, counters, signals or generators
  LATCHED = 7,       // it switched off for safety: HELLO first
};

enum Cause : uint8_t {
  NONE = 0,
  TRAIN_END = 1,
  LIMIT = 2,         // longer on than CONFIGURE allows
  WATCHDOG = 3,      // no HEARTBEAT for too long
  GARBLED = 4,       // a frame with a wrong checksum or length
  SEQUENCE = 5,      // a frame is missing, or came twice
  OVERFLOW_ = 6,     // more events than could be sent
};

const uint16_t SHORTEST_WATCHDOG_MS = 20, LONGEST_WATCHDOG_MS = 1000;
const uint32_t LONGEST_ON_US = 1800000000UL;
const uint32_t SHORTEST_PERIOD_US = 1000, SHORTEST_WIDTH_US = 50;
const uint32_t SHORTEST_SYNC_US = 1000000, SHORTEST_CODES_US = 2100000,
               SHORTEST_FLASHES_US = 100000, LONGEST_SYNC_US = 60000000;
const uint32_t SILENCE_US = 1000000;
const uint32_t TOO_MANY_PULSES = 0xFFFFFFFF;  // instead of a number: counting has ended
