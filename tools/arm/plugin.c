/* A TCG plugin for qemu-aarch64 in user mode. It counts what a guest executes between two marks, and can run the guest's
 * threads in a simple model of a machine with many cores. Debian 12 ships qemu 7.2 with plugins and without their header,
 * so the few functions that are used are declared here.
 *
 * The guest marks with instructions that do nothing, `movz xzr, #n`:
 *
 *   0x1000  an operation begins        0x3000  this thread joins the team, and waits until it is complete
 *   0x2000  it has ended               0x4000  this thread leaves the team
 *
 * Counting. Each instruction between 0x1000 and 0x2000 is counted under what it is. With one thread and no randomness in the
 * guest the counts are the same in every run.
 *
 * The model (team=N). The N threads of a team run one at a time, and always the one whose virtual clock is the least, so
 * how they interleave hardly depends on the host (its kernel still wakes those that sleep, and memory lies where it lies:
 * the same run again differs by some percent). A clock moves with what its thread executes:
 *
 *   an instruction                     0.5 cycles
 *   an atomic read-modify-write        10
 *   dmb                                20
 *   isb, which is what spinning does   30
 *   a system call                      300
 *   a line that another core has       120, of each transfer a random half to one and a half; transfers of a line queue up
 *
 * with unbounded private caches, lines of 64 bytes, and the protocol MESI. Threads that pause until a time of the clock read
 * their virtual one, at 3 GHz. THE WEIGHTS ARE INVENTED: they are in proportion to what is known of many chips and calibrated
 * on none. Executions are sequentially consistent. What comes out ranks, and counts transfers and retries; it is not a time.
 *
 * Arguments: out=FILE team=N seed=S
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* ---- qemu's side, API version 1 ---- */

typedef uint64_t plugin_id;
typedef uint32_t mem_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info {
    const char *target_name;
    struct { int min, cur; } version;
    bool system_emulation;
};
typedef void on_insn_t(unsigned cpu, void *data);
typedef void on_mem_t(unsigned cpu, mem_info info, uint64_t address, void *data);
typedef void on_tb_t(plugin_id id, struct qemu_plugin_tb *tb);
typedef void on_thread_t(plugin_id id, unsigned cpu);
typedef void on_exit_t(plugin_id id, void *data);
typedef void on_syscall_t(plugin_id id, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                          uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);
typedef void on_return_t(plugin_id id, unsigned cpu, int64_t number, int64_t result);

extern void qemu_plugin_register_vcpu_init_cb(plugin_id, on_thread_t *);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_tb_t *);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, on_insn_t *, int flags, void *);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, on_mem_t *, int flags, int rw, void *);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id, on_syscall_t *);
extern void qemu_plugin_register_vcpu_syscall_ret_cb(plugin_id, on_return_t *);
extern void qemu_plugin_register_atexit_cb(plugin_id, on_exit_t *, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern bool qemu_plugin_mem_is_store(mem_info);

enum { NO_REGISTERS = 0, READS_AND_WRITES = 3 };

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

/* ---- what is counted ---- */

#define KINDS(X)                                                                                                     \
    X(insn) X(memory) X(dmb) X(dmb_ld) X(dmb_st) X(isb) X(ldar) X(ldapr) X(stlr)                                     \
    X(ldxr) X(ldaxr) X(stxr) X(stlxr) X(lse) X(lse_acq) X(lse_rel) X(lse_acqrel) X(line_read) X(line_write)
enum kind {
#define X(name) K_##name,
    KINDS(X)
#undef X
    KINDS_COUNT
};
static const char *const kind_name[] = {
#define X(name) #name,
    KINDS(X)
#undef X
};

enum mark { M_NONE, M_BEGIN, M_END, M_JOIN, M_LEAVE };

/* One translated instruction: at most `insn` itself, whether it touches memory, and one more. */
struct decoded {
    enum mark mark;
    bool memory;
    enum kind kind; /* K_insn: nothing special */
};

static bool is(uint32_t op, uint32_t mask, uint32_t value) { return (op & mask) == value; }

/* After the encoding tables of the Arm Architecture Reference Manual, C4.1. */
static struct decoded decode(uint32_t op) {
    struct decoded d = {.mark = M_NONE, .memory = false, .kind = K_insn};
    bool b23 = op >> 23 & 1, load = op >> 22 & 1, b21 = op >> 21 & 1, b15 = op >> 15 & 1;

    if (is(op, 0xFFE0001F, 0xD280001F)) { /* movz xzr, #n */
        uint32_t n = op >> 5 & 0xFFFF;
        d.mark = n == 0x1000 ? M_BEGIN : n == 0x2000 ? M_END : n == 0x3000 ? M_JOIN : n == 0x4000 ? M_LEAVE : M_NONE;
    } else if (is(op, 0xFFFFF0FF, 0xD50330BF) || is(op, 0xFFFFF0FF, 0xD503309F)) { /* dmb, dsb */
        uint32_t type = op >> 8 & 3;
        d.kind = type == 1 ? K_dmb_ld : type == 2 ? K_dmb_st : K_dmb;
    } else if (is(op, 0xFFFFF0FF, 0xD50330DF)) {
        d.kind = K_isb;
    } else if (is(op, 0x0A000000, 0x08000000)) { /* loads and stores */
        d.memory = true;
        if (is(op, 0x3F000000, 0x08000000)) {
            if (!b23 && (!b21 || op >> 31)) d.kind = load ? (b15 ? K_ldaxr : K_ldxr) : (b15 ? K_stlxr : K_stxr);
            else if (b23 && !b21) d.kind = load ? K_ldar : K_stlr;
            else d.kind = load ? (b15 ? K_lse_acqrel : K_lse_acq) : (b15 ? K_lse_rel : K_lse); /* cas, casp */
        } else if (is(op, 0x3F200C00, 0x38200000)) { /* swp, ld<op>; ldapr lies among them */
            if (b15 && (op >> 12 & 7) == 4) d.kind = K_ldapr;
            else d.kind = b23 ? (load ? K_lse_acqrel : K_lse_acq) : (load ? K_lse_rel : K_lse);
        } else if (is(op, 0x3F200C00, 0x19000000)) { /* ldapur, stlur */
            d.kind = (op >> 22 & 3) ? K_ldapr : K_stlr;
        }
    }
    return d;
}

/* ---- threads ---- */

enum { CPUS = 64 };

struct cpu {
    uint64_t count[KINDS_COUNT], operations, least, most, began; /* `began`: count[K_insn] at the last begin */
    bool inside;                                                 /* an operation */
    /* The team; all below is used under `lock`, but `clock` and `limit` by the running thread without. */
    bool member, runnable, blocked;
    uint64_t clock, limit; /* in tenths of a cycle; runs on without looking at the others up to `limit` */
    uint64_t first;        /* clock at its first operation since it joined, 0 before */
    uint64_t second_argument, woken_before;
    pthread_cond_t turn;
};
static struct cpu cpus[CPUS];
static unsigned used; /* one more than the highest index */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned team_size, joined;
static bool complete, stalled;
static int running = -1;
static uint64_t woken;             /* by futexes, in all */
static uint64_t team_clock;        /* where a team's clocks start: where the last one's ended */
static uint64_t first, last;       /* of all operations of the last team that had some */
static uint64_t fastest, slowest;  /* thread of it */
static uint64_t random_state = 1;

enum { INSN = 5, ATOMIC = 100, DMB = 200, ISB = 300, SYSCALL = 3000, TRANSFER = 1200, QUANTUM = 600, TENTHS_PER_NS = 30 };

static uint64_t random_below(uint64_t bound) { /* xorshift64 */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

/* The runnable member whose clock is the least, but for `except`; -1 if there is none. */
static int earliest(int except) {
    int found = -1;
    for (int i = 0; i < (int)used; i++)
        if (i != except && cpus[i].member && cpus[i].runnable && (found < 0 || cpus[i].clock < cpus[found].clock)) found = i;
    return found;
}

static void give_turn(int to) {
    running = to;
    if (to < 0) return;
    int next = earliest(to);
    uint64_t from = cpus[to].clock;
    if (next >= 0 && cpus[next].clock > from) from = cpus[next].clock;
    /* A random stretch, for threads would fall into step with each other. */
    cpus[to].limit = next < 0 ? UINT64_MAX : from + random_below(2 * QUANTUM);
    pthread_cond_signal(&cpus[to].turn);
}

static void await_turn(unsigned cpu) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    while (!stalled && !(complete && running == (int)cpu))
        if (pthread_cond_timedwait(&cpus[cpu].turn, &lock, &until) == ETIMEDOUT) {
            stalled = true;
            for (int i = 0; i < CPUS; i++) pthread_cond_signal(&cpus[i].turn);
        }
}

static void join_team(unsigned cpu) {
    struct cpu *self = &cpus[cpu];
    pthread_mutex_lock(&lock);
    if (joined == 0) first = UINT64_MAX, last = fastest = slowest = 0;
    self->member = self->runnable = true;
    self->clock = team_clock;
    self->first = 0;
    if (++joined == team_size) {
        complete = true;
        give_turn(earliest(-1));
    }
    await_turn(cpu);
    pthread_mutex_unlock(&lock);
}

static void leave_team(unsigned cpu) {
    struct cpu *self = &cpus[cpu];
    pthread_mutex_lock(&lock);
    self->member = self->runnable = false;
    if (self->first) {
        uint64_t took = self->clock - self->first;
        if (self->first < first) first = self->first;
        if (self->clock > last) last = self->clock;
        if (!fastest || took < fastest) fastest = took;
        if (took > slowest) slowest = took;
    }
    if (self->clock > team_clock) team_clock = self->clock;
    if (--joined == 0) complete = false, running = -1;
    else if (running == (int)cpu) give_turn(earliest(-1));
    pthread_mutex_unlock(&lock);
}

static void pass_turn(unsigned cpu) {
    pthread_mutex_lock(&lock);
    give_turn(earliest(-1));
    await_turn(cpu);
    pthread_mutex_unlock(&lock);
}

/* ---- system calls of a team's threads ---- */

enum { SYS_NANOSLEEP = 101, SYS_FUTEX = 98, SYS_CLOCK_GETTIME = 113, SYS_CLOCK_NANOSLEEP = 115 };
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_WAIT_BITSET = 9, FUTEX_COMMAND = 0x7F };

static bool may_block(int64_t number, uint64_t second) {
    uint64_t command = second & FUTEX_COMMAND;
    return number == SYS_NANOSLEEP || number == SYS_CLOCK_NANOSLEEP
        || (number == SYS_FUTEX && (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET));
}

static void on_syscall(plugin_id id, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                       uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)a1, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    struct cpu *self = &cpus[cpu];
    if (!self->member) return;
    self->second_argument = a2;
    self->clock += SYSCALL;
    pthread_mutex_lock(&lock);
    self->woken_before = woken;
    if (may_block(number, a2)) {
        self->runnable = false;
        self->blocked = true;
        if (running == (int)cpu) give_turn(earliest(-1));
    }
    pthread_mutex_unlock(&lock);
}

/* The guest's addresses are the host's here, as long as qemu finds room for it; through the kernel, in case they are not. */
static void write_guest(uint64_t address, const void *from, size_t size) {
    struct iovec local = {(void *)from, size}, remote = {(void *)address, size};
    if (process_vm_writev(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)size) stalled = true;
}

static void on_return(plugin_id id, unsigned cpu, int64_t number, int64_t result) {
    (void)id;
    struct cpu *self = &cpus[cpu];
    if (!self->member) return;
    if (number == SYS_CLOCK_GETTIME) { /* all clocks of a team are the virtual one */
        uint64_t ns = self->clock / TENTHS_PER_NS;
        int64_t now[2] = {1000000 + ns / 1000000000, ns % 1000000000};
        write_guest(self->second_argument, now, sizeof now);
        return;
    }
    pthread_mutex_lock(&lock);
    if (self->blocked) {
        self->blocked = false;
        self->runnable = true;
        woken++;
        if (running >= 0 && cpus[running].clock > self->clock) self->clock = cpus[running].clock;
        if (running < 0) give_turn(cpu);
        else if (self->clock < cpus[running].limit) cpus[running].limit = self->clock;
        await_turn(cpu);
    } else if (number == SYS_FUTEX && (self->second_argument & FUTEX_COMMAND) == FUTEX_WAKE && result > 0) {
        /* The order must not depend on when the host wakes them: wait until they are back. */
        uint64_t wanted = self->woken_before + result;
        for (int i = 0; i < 2000 && woken < wanted; i++) {
            pthread_mutex_unlock(&lock);
            nanosleep(&(struct timespec){0, 50000}, NULL);
            pthread_mutex_lock(&lock);
        }
    }
    pthread_mutex_unlock(&lock);
}

/* ---- instructions ---- */

static uint64_t cost(enum kind kind) {
    switch (kind) {
    case K_dmb: return DMB;
    case K_isb: return ISB;
    case K_ldxr: case K_ldaxr: case K_lse: case K_lse_acq: case K_lse_rel: case K_lse_acqrel: return ATOMIC;
    default: return 0;
    }
}

static void on_mark(unsigned cpu, enum mark mark) {
    struct cpu *self = &cpus[cpu];
    if (mark == M_BEGIN) {
        self->inside = true;
        self->began = self->count[K_insn];
        if (self->member && !self->first) self->first = self->clock;
    } else if (mark == M_END && self->inside) {
        uint64_t took = self->count[K_insn] - self->began;
        self->inside = false;
        self->operations++;
        if (!self->least || took < self->least) self->least = took;
        if (took > self->most) self->most = took;
    } else if (team_size && mark == M_JOIN) {
        join_team(cpu);
    } else if (team_size && mark == M_LEAVE) {
        leave_team(cpu);
    }
}

static void on_insn(unsigned cpu, void *data) {
    const struct decoded *d = data;
    struct cpu *self = &cpus[cpu];
    if (self->member) {
        self->clock += INSN + cost(d->kind);
        if (self->clock > self->limit) pass_turn(cpu);
    }
    if (d->mark) {
        on_mark(cpu, d->mark);
    } else if (self->inside) {
        self->count[K_insn]++;
        if (d->memory) self->count[K_memory]++;
        if (d->kind != K_insn) self->count[d->kind]++;
    }
}

/* ---- lines ---- */

struct line {
    uint64_t name;    /* address / 64 + 1; 0: no line */
    uint64_t sharers; /* a bit a CPU */
    uint64_t free_at; /* when the last transfer ends */
    int owner;        /* who has it modified; -1: nobody */
};
static struct line *lines;
static uint64_t lines_used, lines_size;

static struct line *line_slot(struct line *table, uint64_t size, uint64_t name) {
    uint64_t at = name * 0x9E3779B97F4A7C15 % size;
    while (table[at].name && table[at].name != name) at = (at + 1) % size;
    return &table[at];
}

static struct line *line_of(uint64_t address) {
    if (lines_used * 2 >= lines_size) {
        uint64_t size = lines_size ? lines_size * 2 : 1 << 16;
        struct line *table = calloc(size, sizeof *table);
        for (uint64_t i = 0; i < lines_size; i++)
            if (lines[i].name) *line_slot(table, size, lines[i].name) = lines[i];
        free(lines);
        lines = table, lines_size = size;
    }
    uint64_t name = address / 64 + 1;
    struct line *line = line_slot(lines, lines_size, name);
    if (!line->name) {
        *line = (struct line){.name = name, .owner = -1};
        lines_used++;
    }
    return line;
}

static void on_memory(unsigned cpu, mem_info info, uint64_t address, void *data) {
    (void)data;
    struct cpu *self = &cpus[cpu];
    uint64_t me = 1ull << cpu;
    bool store = qemu_plugin_mem_is_store(info), transfer;
    pthread_mutex_lock(&lock);
    struct line *line = line_of(address);
    if (store) {
        transfer = line->owner != (int)cpu && (line->sharers & ~me);
        line->owner = cpu;
        line->sharers = me;
    } else {
        transfer = !(line->sharers & me) && line->sharers;
        if (!(line->sharers & me)) line->owner = -1;
        line->sharers |= me;
    }
    if (transfer && self->inside) self->count[store ? K_line_write : K_line_read]++;
    if (transfer && self->member) {
        if (line->free_at > self->clock) self->clock = line->free_at;
        self->clock += TRANSFER / 2 + random_below(TRANSFER);
        line->free_at = self->clock;
    }
    pthread_mutex_unlock(&lock);
}

/* ---- qemu's calls ---- */

static void on_block(plugin_id id, struct qemu_plugin_tb *tb) {
    (void)id;
    for (size_t i = 0, n = qemu_plugin_tb_n_insns(tb); i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        struct decoded *d = malloc(sizeof *d); /* lives as long as the translation, which is never told to end */
        uint32_t op;
        memcpy(&op, qemu_plugin_insn_data(insn), sizeof op);
        *d = decode(op);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, NO_REGISTERS, d);
        if (team_size) qemu_plugin_register_vcpu_mem_cb(insn, on_memory, NO_REGISTERS, READS_AND_WRITES, NULL);
    }
}

static char out_path[4096];

static void on_exit_(plugin_id id, void *data) {
    (void)id, (void)data;
    FILE *out = out_path[0] ? fopen(out_path, "w") : stderr;
    if (!out) return;
    struct cpu all = {0};
    for (int i = 0; i < CPUS; i++) {
        for (int k = 0; k < KINDS_COUNT; k++) all.count[k] += cpus[i].count[k];
        all.operations += cpus[i].operations;
        if (cpus[i].least && (!all.least || cpus[i].least < all.least)) all.least = cpus[i].least;
        if (cpus[i].most > all.most) all.most = cpus[i].most;
    }
    fprintf(out, "operations %lu\nleast %lu\nmost %lu\n", all.operations, all.least, all.most);
    for (int k = 0; k < KINDS_COUNT; k++) fprintf(out, "%s %lu\n", kind_name[k], all.count[k]);
    if (team_size) fprintf(out, "tenths %lu\nfastest %lu\nslowest %lu\nstalled %d\n", last - first, fastest, slowest, stalled);
    if (out != stderr) fclose(out);
}

static void on_thread(plugin_id id, unsigned cpu) {
    (void)id;
    if (cpu >= CPUS) {
        fprintf(stderr, "plugin: more than %d threads\n", CPUS);
        abort();
    }
    if (cpu >= used) used = cpu + 1;
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv) {
    if (strcmp(info->target_name, "aarch64") || info->system_emulation) {
        fprintf(stderr, "plugin: for qemu-aarch64 in user mode\n");
        return -1;
    }
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4)) snprintf(out_path, sizeof out_path, "%s", argv[i] + 4);
        else if (!strncmp(argv[i], "team=", 5)) team_size = atoi(argv[i] + 5);
        else if (!strncmp(argv[i], "seed=", 5)) random_state = strtoull(argv[i] + 5, NULL, 10) * 0x9E3779B97F4A7C15 | 1;
        else return fprintf(stderr, "plugin: unknown argument %s\n", argv[i]), -1;
    }
    for (int i = 0; i < CPUS; i++) pthread_cond_init(&cpus[i].turn, NULL);
    qemu_plugin_register_vcpu_init_cb(id, on_thread);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    if (team_size) {
        qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
        qemu_plugin_register_vcpu_syscall_ret_cb(id, on_return);
    }
    qemu_plugin_register_atexit_cb(id, on_exit_, NULL);
    return 0;
}
