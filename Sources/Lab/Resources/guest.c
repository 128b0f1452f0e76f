// SPDX-License-Identifier: Apache-2.0
//
// The lab guest's only program: it is /init of the initramfs.
//
// It loads the virtio modules, sets its address, and then does real work of four kinds, all checked by itself.
// It reports on the serial console once a second:
//
//   EK t=<ms since boot> at=<unix ms> units=<work units done> rate=<units in the last second>
//      mem=<ok|BAD:what> disk=<sequence|BAD:what>
//
//   work    one unit of fixed size per period of 100 ms; a host without free capacity shows as a lower rate
//   memory  a region with a known checksum; a region whose pages are rewritten with a generation number each, so that
//           a page lost by a migration is seen; a region full of the secret marker
//   disk    an increasing sequence number in a ring of sectors, each with a checksum, read back before the next
//   network the kernel answers pings
//
// The marker is computed from the seed on either side, so that it is in no file and no definition: on the wire it can
// only be a page of memory.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    PERIOD_MS = 100,
    PERIODS_PER_SECOND = 1000 / PERIOD_MS,
    PAGE = 4096,
    STATIC_PAGES = 1024,   // 4 MiB with a fixed checksum
    MARKER_PAGES = 512,    // 2 MiB full of the marker
    SECTOR = 512,
    BALLAST_INDEX = 1 << 20, // pages of the ballast are numbered from here
    RING = 256,            // sectors of the disk that hold the sequence
};

static int console = -1;
static char cmdline[4096];

static void say(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 2, format, arguments);
    va_end(arguments);
    line[length++] = '\n';
    // One write per line, so that a line is never torn by the kernel's own messages.
    if (console >= 0 && write(console, line, length) < 0) return;
}

static uint64_t mix(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static uint64_t checksum(const uint64_t *words, size_t count) {
    uint64_t sum = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < count; i++) sum = (sum ^ words[i]) * 0x100000001b3ULL;
    return sum;
}

static int64_t clock_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// The value of ek.<key>= on the kernel's command line, or the default.
static const char *option(const char *key, const char *otherwise) {
    static char values[16][64];
    static int used;
    char pattern[48];
    snprintf(pattern, sizeof pattern, "ek.%s=", key);
    const char *at = strstr(cmdline, pattern);
    if (!at || used == 16) return otherwise;
    at += strlen(pattern);
    size_t length = strcspn(at, " \n");
    char *value = values[used++];
    snprintf(value, sizeof values[0], "%.*s", (int)length, at);
    return value;
}

static int load_module(const char *name) {
    char path[300];
    snprintf(path, sizeof path, "/modules/%s", name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    int failed = syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST;
    close(file);
    return !failed;
}

// Modules need each other's symbols: they are tried in rounds until a round loads none.
static void load_modules(void) {
    char *names[32];
    int count = 0, loaded = 1;
    DIR *folder = opendir("/modules");
    if (!folder) return;
    for (struct dirent *entry; count < 32 && (entry = readdir(folder));)
        if (entry->d_name[0] != '.') names[count++] = strdup(entry->d_name);
    closedir(folder);
    while (count > 0 && loaded) {
        loaded = 0;
        for (int i = 0; i < count; i++)
            if (load_module(names[i])) {
                loaded = 1;
                names[i--] = names[--count];
            }
    }
    for (int i = 0; i < count; i++) say("EK error=module:%s", names[i]);
}

static void set_address(const char *address) {
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {0};
    struct sockaddr_in *inet = (struct sockaddr_in *)&request.ifr_addr;
    strcpy(request.ifr_name, "eth0");
    inet->sin_family = AF_INET;
    inet->sin_addr.s_addr = inet_addr(address);
    int failed = ioctl(control, SIOCSIFADDR, &request);
    inet->sin_addr.s_addr = inet_addr("255.255.255.0");
    failed = ioctl(control, SIOCSIFNETMASK, &request) || failed;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    failed = ioctl(control, SIOCSIFFLAGS, &request) || failed;
    if (failed) say("EK error=network:%s", strerror(errno));
    close(control);
}

// MARK: disk

struct record {
    char magic[8];
    uint64_t seed, sequence, filler[SECTOR / 8 - 4], sum;
};
_Static_assert(sizeof(struct record) == SECTOR, "a record is a sector");

static _Atomic uint64_t disk_sequence;
static _Atomic(const char *) disk_problem;
static uint64_t seed;

static int valid(const struct record *record) {
    return memcmp(record->magic, "EKDISK01", 8) == 0 && record->seed == seed
        && record->sum == checksum((const uint64_t *)record, SECTOR / 8 - 1);
}

static int transfer(int disk, struct record *record, uint64_t sequence, int writing) {
    off_t offset = (off_t)(sequence % RING) * SECTOR;
    return (writing ? pwrite(disk, record, SECTOR, offset) : pread(disk, record, SECTOR, offset)) == SECTOR;
}

// Continues the sequence on the disk. Runs on a thread of its own: a slow disk must not look like a slow CPU.
static void *keep_disk(void *unused) {
    struct record *ring = aligned_alloc(PAGE, RING * SECTOR), *record = aligned_alloc(PAGE, PAGE);
    int disk = open("/dev/vda", O_RDWR | O_DIRECT | O_SYNC | O_CLOEXEC);
    if (disk < 0) { disk_problem = "open"; return unused; }
    if (pread(disk, ring, RING * SECTOR, 0) != RING * SECTOR) { disk_problem = "scan"; return unused; }
    uint64_t sequence = 0;
    for (int i = 0; i < RING; i++)
        if (valid(&ring[i]) && ring[i].sequence > sequence) sequence = ring[i].sequence;
    disk_sequence = sequence;
    for (;; usleep(1000000)) {
        if (sequence > 0) {
            if (!transfer(disk, record, sequence, 0)) { disk_problem = "read"; return unused; }
            if (!valid(record)) { disk_problem = "checksum"; return unused; }
            if (record->sequence != sequence) { disk_problem = "gap"; return unused; }
        }
        memset(record, 0, SECTOR);
        memcpy(record->magic, "EKDISK01", 8);
        record->seed = seed;
        record->sequence = ++sequence;
        uint64_t state = seed ^ sequence;
        for (size_t i = 0; i < sizeof record->filler / 8; i++) record->filler[i] = mix(&state);
        record->sum = checksum((const uint64_t *)record, SECTOR / 8 - 1);
        if (!transfer(disk, record, sequence, 1)) { disk_problem = "write"; return unused; }
        disk_sequence = sequence;
    }
}

// MARK: memory

static uint64_t *fixed, fixed_sums[STATIC_PAGES];
static char *marked;
static uint64_t *moving, *generations;
static uint64_t *ballast;      // pages that are no zeros and never change, so that a move has something to send
static size_t ballast_pages, ballast_next;
static size_t moving_pages, moving_next, fixed_next;
static char memory_problem[64];

static void page_fill(uint64_t *page, size_t index, uint64_t generation) {
    uint64_t state = seed ^ (index << 32) ^ generation;
    page[0] = generation;
    for (size_t i = 1; i < PAGE / 8; i++) page[i] = state += 0x9e3779b97f4a7c15ULL;
}

static int page_holds(const uint64_t *page, size_t index, uint64_t generation) {
    uint64_t state = seed ^ (index << 32) ^ generation;
    if (page[0] != generation) return 0;
    for (size_t i = 1; i < PAGE / 8; i++)
        if (page[i] != (state += 0x9e3779b97f4a7c15ULL)) return 0;
    return 1;
}

static void *region(size_t pages) {
    void *memory = aligned_alloc(PAGE, pages * PAGE);
    if (!memory) say("EK error=memory:%zu pages", pages);
    return memory;
}

static void make_memory(const char *marker, double dirty_mib, size_t fill_mib) {
    uint64_t state = seed;
    fixed = region(STATIC_PAGES);
    for (size_t i = 0; i < STATIC_PAGES * (PAGE / 8); i++) fixed[i] = mix(&state);
    for (size_t i = 0; i < STATIC_PAGES; i++) fixed_sums[i] = checksum(fixed + i * (PAGE / 8), PAGE / 8);
    marked = region(MARKER_PAGES);
    size_t length = strlen(marker);
    for (size_t i = 0; i + length + 1 < MARKER_PAGES * PAGE; i += length + 1) {
        memcpy(marked + i, marker, length);
        marked[i + length] = ' ';
    }
    moving_pages = (size_t)(dirty_mib * 2 * 256);   // rewritten once in two seconds
    if (moving_pages > 8192) moving_pages = 8192;
    moving = region(moving_pages + 1);
    generations = calloc(moving_pages + 1, sizeof *generations);
    for (size_t i = 0; i < moving_pages; i++) page_fill(moving + i * (PAGE / 8), i, 0);
    ballast_pages = fill_mib * 256;
    ballast = region(ballast_pages + 1);
    for (size_t i = 0; i < ballast_pages; i++) page_fill(ballast + i * (PAGE / 8), BALLAST_INDEX + i, 0);
}

// One period's share of checking and rewriting: every fixed page is checked once in about 13 s, every moving page each
// time before it is rewritten.
static void tend_memory(size_t rewrites) {
    for (int i = 0; i < 8; i++, fixed_next = (fixed_next + 1) % STATIC_PAGES) {
        uint64_t sum = checksum(fixed + fixed_next * (PAGE / 8), PAGE / 8);
        if (sum != fixed_sums[fixed_next] && !memory_problem[0])
            snprintf(memory_problem, sizeof memory_problem, "BAD:fixed:%zu:%016llx", fixed_next, (unsigned long long)sum);
    }
    for (int i = 0; i < 4 && ballast_pages > 0; i++, ballast_next = (ballast_next + 1) % ballast_pages)
        if (!page_holds(ballast + ballast_next * (PAGE / 8), BALLAST_INDEX + ballast_next, 0) && !memory_problem[0])
            snprintf(memory_problem, sizeof memory_problem, "BAD:fill:%zu", ballast_next);
    for (size_t i = 0; i < rewrites && moving_pages > 0; i++, moving_next = (moving_next + 1) % moving_pages) {
        uint64_t *page = moving + moving_next * (PAGE / 8);
        if (!page_holds(page, moving_next, generations[moving_next]) && !memory_problem[0])
            snprintf(memory_problem, sizeof memory_problem, "BAD:moving:%zu:%016llx", moving_next,
                     (unsigned long long)page[0]);
        page_fill(page, moving_next, ++generations[moving_next]);
    }
}

// MARK: work

static volatile uint64_t work_result;

// One unit of work: always the same amount.
static void work(uint64_t rounds) {
    uint64_t state = work_result;
    for (uint64_t i = 0; i < rounds; i++) state = (state ^ (state >> 29)) * 0xbf58476d1ce4e5b9ULL + i;
    work_result = state;
}

static int compare(const void *a, const void *b) {
    const int64_t *first = a, *second = b;
    return (*first > *second) - (*first < *second);
}

// The rounds that take so much CPU time on this machine. The median of short runs: a run that another guest interrupted
// does not count, and other guests boot at the same time.
static uint64_t rounds_in(uint64_t microseconds) {
    enum { RUNS = 101, ROUNDS = 50000 };
    int64_t taken[RUNS];
    for (int run = 0; run < RUNS; run++) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        work(ROUNDS);
        clock_gettime(CLOCK_MONOTONIC, &after);
        taken[run] = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    }
    qsort(taken, RUNS, sizeof taken[0], compare);
    int64_t median = taken[RUNS / 2] > 0 ? taken[RUNS / 2] : 1;
    return microseconds * 1000 * ROUNDS / (uint64_t)median;
}

static void sleep_until(int64_t ms) {
    struct timespec until = {ms / 1000, ms % 1000 * 1000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

int main(void) {
    mkdir("/proc", 0755);
    mkdir("/dev", 0755);
    mount("proc", "/proc", "proc", 0, "");
    mount("devtmpfs", "/dev", "devtmpfs", 0, "");
    console = open("/dev/ttyS0", O_WRONLY | O_NOCTTY | O_CLOEXEC);
    int file = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (read(file, cmdline, sizeof cmdline - 1) < 0) say("EK error=cmdline:%s", strerror(errno));
    close(file);

    load_modules();
    seed = strtoull(option("seed", "1"), NULL, 16);
    double dirty_mib = atof(option("dirty", "0.5"));
    // The demand: how much work a unit is, not how many units there are.
    uint64_t rounds = rounds_in(strtoull(option("unit", "9000"), NULL, 10));
    set_address(option("address", "10.77.0.100"));

    uint64_t state = seed ^ 0x6d61726b6572ULL;
    char marker[64];
    uint64_t first = mix(&state), second = mix(&state);
    snprintf(marker, sizeof marker, "EVENKEEL-SECRET-%016llx%016llx", (unsigned long long)first,
             (unsigned long long)second);
    make_memory(marker, dirty_mib, strtoul(option("fill", "0"), NULL, 10));
    pthread_t disk;
    pthread_create(&disk, NULL, keep_disk, NULL);
    say("EK start seed=%016llx rounds=%llu dirty=%.2f marker=%s", (unsigned long long)seed,
        (unsigned long long)rounds, dirty_mib, marker);

    size_t rewrites = (size_t)(dirty_mib * 256 / PERIODS_PER_SECOND);
    uint64_t units = 0, units_before = 0;
    int64_t next = clock_ms(CLOCK_MONOTONIC), report = next + 1000;
    for (;;) {
        work(rounds);
        units++;
        tend_memory(rewrites);
        int64_t now = clock_ms(CLOCK_MONOTONIC);
        if (now >= report) {
            double rate = (double)(units - units_before) * 1000 / (double)(now - report + 1000);
            const char *problem = disk_problem;
            char sequence[32];
            if (problem) snprintf(sequence, sizeof sequence, "BAD:%s", problem);
            else snprintf(sequence, sizeof sequence, "%llu", (unsigned long long)disk_sequence);
            say("EK t=%lld at=%lld units=%llu rate=%.2f mem=%s disk=%s", (long long)now,
                (long long)clock_ms(CLOCK_REALTIME), (unsigned long long)units, rate,
                memory_problem[0] ? memory_problem : "ok", sequence);
            units_before = units;
            report = now + 1000;
        }
        // A period that was missed is not made up for: the rate is what the host gave.
        next += PERIOD_MS;
        if (next < now) next = now;
        sleep_until(next);
    }
}
