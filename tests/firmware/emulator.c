/* A board in the computer: simavr runs the real firmware, cycle by cycle.
 *
 *   emulator MCU HERTZ PORTS FIRMWARE.elf          in step with whoever asks
 *   emulator MCU HERTZ PORTS FIRMWARE.elf --pty [BAUDRATE]    at the pace of a real board
 *
 * Asked on standard input, a line each:
 *   send HEX         bytes for its serial port, which takes them at BAUDRATE, 500,000 bits/s
 *   pin PORT BIT 1   a level on a pin from outside: pin D 2 1
 *   run CYCLES       (in step only) go on; ends with a line `now CYCLE`
 *   now              a line `now CYCLE`
 *   wire PORT BIT PORT BIT    a wire from the first pin to the second: wire B 1 D 2
 *   watch PORT BIT FILE       the pin's last edges in a file: see watch_pin
 *   slow TIMES       (with --pty) its clock runs so many times slower than the wall's
 *   lag US           (with --pty) a board that was paused for less than US catches up; more,
 *                    5000 at first, and its clock stood still meanwhile
 *   peek ADDRESS     what a register holds (hexadecimal), then a line `now CYCLE`
 *   poke ADDRESS VALUE    write a register, as the firmware would
 *   reset            what the reset button does
 * Said on standard output:
 *   edge CYCLE PORT BIT LEVEL WALL_NS    a pin changed
 *   took CYCLE HEX                       a byte reached the board
 *   said CYCLE HEX                       (in step only) a byte from its serial port
 *   peek VALUE
 *   pty PATH                             (with --pty) where its serial port is
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_interrupts.h>
#include <simavr/sim_io.h>
#include <simavr/sim_time.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 8192, QUEUE = 65536, BITS_PER_BYTE = 10, EIFR = 0x3C };
static const long SLICE_US = 200;
static long most_lag_us = 5000, times_slower = 1;

static avr_t *avr;
static avr_irq_t *uart_in;
static int pty = -1;
static unsigned char queue[QUEUE], reply[QUEUE];
static unsigned head, tail, replied;
static avr_cycle_count_t line_free;
static unsigned long baudrate = 500000;
static bool held; /* simavr's own buffer is full */

static long long wall_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void on_pin(struct avr_irq_t *irq, uint32_t value, void *where) {
  (void)irq;
  const char *place = where;
  printf("edge %llu %c %c %u %lld\n", (unsigned long long)avr->cycle, place[0], place[1],
         value & 1, wall_ns());
}

/* Another process sees a pin as a camera sees an LED: FILE holds a count of edges, odd while
 * it is written, and the last WATCHED edges, WALL_NS and LEVEL, number N in place N % WATCHED. */
enum { WATCHED = 4096 };
struct watched {
  uint64_t count;
  struct {
    int64_t wall_ns, level;
  } edges[WATCHED];
};

static void on_watched(struct avr_irq_t *irq, uint32_t value, void *where) {
  (void)irq;
  struct watched *file = where;
  const uint64_t number = file->count / 2;
  __atomic_store_n(&file->count, 2 * number + 1, __ATOMIC_SEQ_CST);
  file->edges[number % WATCHED].wall_ns = wall_ns();
  file->edges[number % WATCHED].level = value & 1;
  __atomic_store_n(&file->count, 2 * number + 2, __ATOMIC_SEQ_CST);
}

static avr_irq_t *pin_of(char port, unsigned bit) {
  return avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(port), bit);
}

static void watch_pin(char port, unsigned bit, const char *path) {
  const int file = open(path, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(struct watched))) _exit(4);
  void *where =
      mmap(NULL, sizeof(struct watched), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (where == MAP_FAILED) _exit(4);
  close(file);
  avr_irq_register_notify(pin_of(port, bit), on_watched, where);
}

static void on_uart(struct avr_irq_t *irq, uint32_t value, void *unused) {
  (void)irq, (void)unused;
  if (pty < 0)
    printf("said %llu %02x\n", (unsigned long long)avr->cycle, value & 0xFF);
  else if (replied < sizeof reply)
    reply[replied++] = value;
}

static void on_flow(struct avr_irq_t *irq, uint32_t value, void *hold) {
  (void)irq;
  if (value) held = hold != NULL;
}

static void feed(void) {
  if (held || head == tail || avr->cycle < line_free) return;
  line_free = avr->cycle + (avr_cycle_count_t)avr->frequency * BITS_PER_BYTE / baudrate;
  const unsigned char byte = queue[tail];
  tail = (tail + 1) % QUEUE;
  printf("took %llu %02x\n", (unsigned long long)avr->cycle, byte);
  avr_raise_irq(uart_in, byte);
}

static void run(avr_cycle_count_t until) {
  while (avr->cycle < until) {
    feed();
    const int state = avr_run(avr);
    if (state == cpu_Done || state == cpu_Crashed) {
      fprintf(stderr, "the firmware crashed at cycle %llu\n",
              (unsigned long long)avr->cycle);
      _exit(3);
    }
  }
}

static void give(unsigned char byte) {
  const unsigned next = (head + 1) % QUEUE;
  if (next == tail) return;
  queue[head] = byte;
  head = next;
}

static void obey(char *line) {
  char port, port2, path[LINE];
  unsigned bit, bit2, level, byte;
  unsigned long long cycles;
  if (strncmp(line, "send ", 5) == 0) {
    for (char *at = line + 5; sscanf(at, "%2x", &byte) == 1; at += 2) give(byte);
  } else if (sscanf(line, "pin %c %u %u", &port, &bit, &level) == 3) {
    avr_raise_irq(pin_of(port, bit), level);
  } else if (sscanf(line, "wire %c %u %c %u", &port, &bit, &port2, &bit2) == 4) {
    avr_connect_irq(pin_of(port, bit), pin_of(port2, bit2));
  } else if (sscanf(line, "lag %u", &level) == 1) {
    most_lag_us = level;
  } else if (sscanf(line, "slow %u", &level) == 1) {
    times_slower = level;
  } else if (sscanf(line, "watch %c %u %s", &port, &bit, path) == 3) {
    watch_pin(port, bit, path);
  } else if (sscanf(line, "run %llu", &cycles) == 1) {
    run(avr->cycle + cycles);
    printf("now %llu\n", (unsigned long long)avr->cycle);
  } else if (sscanf(line, "peek %x", &byte) == 1) {
    printf("peek %u\nnow %llu\n", avr->data[byte], (unsigned long long)avr->cycle);
  } else if (sscanf(line, "poke %x %u", &byte, &level) == 2) {
    const avr_io_addr_t io = AVR_DATA_TO_IO(byte);
    if (avr->io[io].w.c) avr->io[io].w.c(avr, byte, level, avr->io[io].w.param);
  } else if (strncmp(line, "now", 3) == 0) {
    printf("now %llu\n", (unsigned long long)avr->cycle);
  } else if (strncmp(line, "reset", 5) == 0) {
    avr_reset(avr);
    head = tail = 0;
  }
  fflush(stdout);
}

static void on_serial(int which, avr_irq_notify_t notify, void *more) {
  avr_irq_t *irq = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), which);
  avr_irq_register_notify(irq, notify, more);
}

static void listen_to(const char *ports) {
  static char places[26 * 8][2];
  unsigned used = 0;
  for (const char *port = ports; *port; port++)
    for (int bit = 0; bit < 8; bit++) {
      char *place = places[used++];
      place[0] = *port, place[1] = '0' + bit;
      avr_irq_register_notify(pin_of(*port, bit), on_pin, place);
    }
  uint32_t flags = 0;
  avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
  uart_in = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
  on_serial(UART_IRQ_OUTPUT, on_uart, NULL);
  on_serial(UART_IRQ_OUT_XOFF, on_flow, &held);
  on_serial(UART_IRQ_OUT_XON, on_flow, NULL);
}

static int open_pty(void) {
  pty = posix_openpt(O_RDWR | O_NOCTTY);
  if (pty < 0 || grantpt(pty) || unlockpt(pty)) return 1;
  const char *path = ptsname(pty);
  const int other = open(path, O_RDWR | O_NOCTTY); /* kept: programs come and go */
  struct termios raw;
  if (other < 0 || tcgetattr(other, &raw)) return 1;
  cfmakeraw(&raw);
  tcsetattr(other, TCSANOW, &raw);
  fcntl(pty, F_SETFL, O_NONBLOCK);
  printf("pty %s\n", path);
  fflush(stdout);
  return 0;
}

/* One slice after the other at the wall's pace; a computer that pauses us pauses the board. */
static void run_live(void) {
  const avr_cycle_count_t slice = avr->frequency / 1000000 * SLICE_US;
  static char line[LINE];
  unsigned length = 0;
  long long due_ns = wall_ns();
  fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
  for (;;) {
    unsigned char bytes[256];
    ssize_t got = read(pty, bytes, sizeof bytes);
    for (ssize_t i = 0; i < got; i++) give(bytes[i]);
    run(avr->cycle + slice);
    if (replied && (got = write(pty, reply, replied)) > 0) {
      replied -= got; /* a line that is full takes a part */
      memmove(reply, reply + got, replied);
    }
    char letter;
    while ((got = read(STDIN_FILENO, &letter, 1)) == 1)
      if (letter != '\n' && length < LINE - 1) {
        line[length++] = letter;
      } else {
        line[length] = 0;
        length = 0;
        obey(line);
      }
    if (got == 0) _exit(0);
    fflush(stdout);
    due_ns += SLICE_US * 1000 * times_slower;
    const long long now_ns = wall_ns(), left_ns = due_ns - now_ns;
    if (left_ns > 0) {
      const struct timespec rest = {0, left_ns};
      nanosleep(&rest, NULL);
    } else if (-left_ns > most_lag_us * 1000LL) {
      due_ns = now_ns;
    }
  }
}

/* What simavr leaves out: a 1 that is written into EIFR clears the flag of that interrupt. */
static void on_eifr(avr_t *unused, avr_io_addr_t address, uint8_t value, void *more) {
  (void)unused, (void)more;
  for (int i = 0; i < avr->interrupts.vector_count; i++) {
    avr_int_vector_t *vector = avr->interrupts.vector[i];
    if (vector->raised.reg == address && value >> vector->raised.bit & 1)
      avr_clear_interrupt(avr, vector);
  }
}

static void no_sleep(avr_t *unused, avr_cycle_count_t cycles) { (void)unused, (void)cycles; }

static void no_log(avr_t *unused, const int level, const char *format, va_list list) {
  (void)unused;
  if (level == LOG_ERROR) vfprintf(stderr, format, list);
}

int main(int count, char **words) {
  if (count < 5) return 2;
  avr_global_logger_set(no_log);
  static elf_firmware_t firmware;
  if (elf_read_firmware(words[4], &firmware)) return 2;
  avr = avr_make_mcu_by_name(words[1]);
  if (!avr) return 2;
  avr_init(avr);
  avr->frequency = firmware.frequency = strtoul(words[2], NULL, 10);
  avr_load_firmware(avr, &firmware);
  avr->sleep = no_sleep;
  listen_to(words[3]);
  avr_register_io_write(avr, EIFR, on_eifr, NULL);
  if (count > 6) baudrate = strtoul(words[6], NULL, 10);
  if (count > 5) {
    if (open_pty()) return 2;
    run_live();
  }
  static char line[LINE];
  while (fgets(line, sizeof line, stdin)) obey(line);
  _exit(0);
}
