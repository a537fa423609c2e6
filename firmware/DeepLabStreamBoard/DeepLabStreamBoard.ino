// DeepLabStream's firmware for Arduino, Teensy and similar boards. docs/board.md: wiring, upload.
//
// A pin is on only while the program's loop runs, never longer than allowed, and
// never because of noise on the line.
#include <Arduino.h>

#include "commands.h"
#include "hal.h"

void setup() {
  hal_begin();
  Serial.begin(BAUDRATE);
}

void loop() {
  hal_poll();
  while (Serial.available()) {
    Frame frame;
    const Heard heard = frames_take(Serial.read(), frame);
    if (heard == A_FRAME) obey(frame);
    if (heard == NOISE) distrust(GARBLED);
    hal_poll();
  }
  report();
}
