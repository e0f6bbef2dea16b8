/* A bounded SMTP load generator for loopback: one thread, epoll, one connection a message.
 *
 *   load -p PORT [-s SESSIONS] [-n MESSAGES] [-t SECONDS] [-w MS] [-x] MANIFEST
 *
 * MANIFEST has a line for each message: file, sender, recipient, client address, client name, separated by tabs.
 * With -x each connection names its client by XCLIENT. Messages are used in turn until MESSAGES were sent or
 * SECONDS have passed; with -w the one session rests for so long between two messages. A session is a script: wait for
 * a reply, look whether its code is the one expected, send the next piece. The time of a message runs from connect()
 * to the reply that takes it. One line of JSON comes out.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STEPS = 9, MOST_SESSIONS = 4000, MOST_MESSAGES = 1000000, REPLY_OCTETS = 8192 };

struct piece { const char *octets; size_t size; };
/* Step i: a reply with code expect[i] is awaited, and then piece[i] is sent. */
struct script { int steps, taken; int expect[STEPS]; struct piece piece[STEPS]; };
struct session {
    int fd, step;
    const struct script *script;
    struct piece unsent;
    char reply[REPLY_OCTETS];
    size_t have;
    double begun;
};

static struct script *scripts;
static long script_count, messages = 1000, begun, taken, refused, broken;
static int with_xclient, poller, open_sessions, rest_ms;
static double *latency, give_up;
static char complaint[160];
static struct sockaddr_in server;

static void fail(const char *why) { perror(why); exit(2); }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The message as it goes over the wire: CRLF at every line's end, dots stuffed, the final dot. */
static struct piece body_of(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    char *wire = NULL, *line = NULL;
    size_t size = 0, room = 0;
    ssize_t got;
    FILE *out = open_memstream(&wire, &size);
    while ((got = getline(&line, &room, file)) > 0) {
        while (got > 0 && (line[got - 1] == '\n' || line[got - 1] == '\r')) got--;
        if (got > 0 && line[0] == '.') fputc('.', out);
        fwrite(line, 1, (size_t)got, out);
        fputs("\r\n", out);
    }
    fputs(".\r\n", out);
    fclose(out);
    fclose(file);
    free(line);
    return (struct piece){wire, size};
}

static struct piece text(const char *form, const char *a, const char *b) {
    char *made;
    int size = asprintf(&made, form, a, b, b);
    if (size < 0) fail("asprintf");
    return (struct piece){made, (size_t)size};
}

static void then(struct script *script, int code, struct piece piece) {
    script->expect[script->steps] = code;
    script->piece[script->steps++] = piece;
}

static void read_manifest(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) fail(path);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        char *word[5], *rest = line;
        for (int i = 0; i < 5; i++)
            if (!(word[i] = strsep(&rest, "\t\n"))) { fputs("a line of the manifest is short\n", stderr); exit(2); }
        scripts = realloc(scripts, (size_t)(script_count + 1) * sizeof *scripts);
        struct script *script = memset(&scripts[script_count++], 0, sizeof *script);
        then(script, 220, text("EHLO %s\r\n", word[4], ""));
        if (with_xclient) {
            then(script, 250, text("XCLIENT ADDR=%s NAME=%s HELO=%s\r\n", word[3], word[4]));
            then(script, 220, text("EHLO %s\r\n", word[4], ""));
        }
        then(script, 250, text("MAIL FROM:<%s>\r\n", word[1], ""));
        then(script, 250, text("RCPT TO:<%s>\r\n", word[2], ""));
        then(script, 250, text("DATA\r\n", "", ""));
        then(script, 354, body_of(word[0]));
        script->taken = script->steps;
        then(script, 250, text("QUIT\r\n", "", ""));
        script->expect[script->steps++] = 221;
    }
    fclose(file);
    free(line);
}

static void open_session(struct session *session) {
    session->fd = -1;
    if (begun >= messages || now() > give_up) return;
    session->script = &scripts[begun++ % script_count];
    session->step = 0;
    session->have = 0;
    session->unsent.size = 0;
    session->begun = now();
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) fail("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    session->fd = fd;
    open_sessions++;
}

static void next_session(struct session *session) {
    close(session->fd);
    open_sessions--;
    if (rest_ms) usleep((useconds_t)rest_ms * 1000);
    open_session(session);
}

/* Sends what the socket takes; the rest when it is writable again. */
static void send_more(struct session *session) {
    struct piece *unsent = &session->unsent;
    while (unsent->size) {
        ssize_t sent = send(session->fd, unsent->octets, unsent->size, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) break;
            return; /* the next read tells */
        }
        unsent->octets += sent;
        unsent->size -= (size_t)sent;
    }
    struct epoll_event event = {.events = EPOLLIN | (unsent->size ? EPOLLOUT : 0), .data.ptr = session};
    epoll_ctl(poller, EPOLL_CTL_MOD, session->fd, &event);
}

/* One whole reply; false when the session is over. */
static int take_reply(struct session *session, const char *reply) {
    const struct script *script = session->script;
    if (atoi(reply) != script->expect[session->step]) {
        refused++;
        snprintf(complaint, sizeof complaint, "%.150s", reply);
        return 0;
    }
    if (session->step == script->taken) latency[taken++] = now() - session->begun;
    if (++session->step == script->steps) return 0;
    session->unsent = script->piece[session->step - 1];
    send_more(session);
    return 1;
}

static void readable(struct session *session) {
    ssize_t got = recv(session->fd, session->reply + session->have, REPLY_OCTETS - 1 - session->have, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        if (session->step <= session->script->taken) broken++;
        next_session(session);
        return;
    }
    session->have += (size_t)got;
    session->reply[session->have] = 0;
    char *line = session->reply, *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        char *this = line;
        line = end + 1;
        if (end - this > 3 && this[3] == '-') continue;
        if (!take_reply(session, this)) {
            next_session(session);
            return;
        }
    }
    session->have = (size_t)(session->reply + session->have - line);
    memmove(session->reply, line, session->have);
    if (session->have == REPLY_OCTETS - 1) { broken++; next_session(session); }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double share(double p) { return taken ? latency[(long)((double)(taken - 1) * p)] * 1000 : 0; }

int main(int argc, char **argv) {
    int option, port = 0, sessions = 20, seconds = 60;
    while ((option = getopt(argc, argv, "p:s:n:t:w:x")) > 0) switch (option) {
        case 'p': port = atoi(optarg); break;
        case 's': sessions = atoi(optarg); break;
        case 'n': messages = atol(optarg); break;
        case 't': seconds = atoi(optarg); break;
        case 'w': rest_ms = atoi(optarg); break;
        case 'x': with_xclient = 1; break;
        default: return 2;
    }
    if (optind >= argc || port <= 0 || sessions < 1 || sessions > MOST_SESSIONS || messages < 1 ||
        messages > MOST_MESSAGES || seconds < 1 || seconds > 600 ||
        rest_ms < 0 || rest_ms > 10000 || (rest_ms && sessions > 1)) {
        fputs("usage: load -p PORT [-s 1..4000] [-n 1..1000000] [-t 1..600] [-w 0..10000, with one session] [-x] MANIFEST\n", stderr);
        return 2;
    }
    read_manifest(argv[optind]);
    if (!script_count) return 2;
    struct rlimit files = {MOST_SESSIONS + 64, MOST_SESSIONS + 64};
    setrlimit(RLIMIT_NOFILE, &files);
    latency = calloc((size_t)messages, sizeof *latency);
    struct session *all = calloc((size_t)sessions, sizeof *all);
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    poller = epoll_create1(EPOLL_CLOEXEC);
    double start = now();
    give_up = start + seconds;
    for (int i = 0; i < sessions; i++) open_session(&all[i]);
    while (open_sessions > 0 && now() < give_up + 15) {
        struct epoll_event events[128];
        int ready = epoll_wait(poller, events, 128, 1000);
        for (int i = 0; i < ready; i++) {
            struct session *session = events[i].data.ptr;
            if (session->fd < 0) continue;
            if (events[i].events & EPOLLOUT) send_more(session);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(session);
        }
    }
    double took = now() - start;
    qsort(latency, (size_t)taken, sizeof *latency, ascending);
    for (char *c = complaint; *c; c++) if (*c == '"' || *c == '\\' || *c < ' ') *c = ' ';
    printf("{\"taken\": %ld, \"refused\": %ld, \"broken\": %ld, \"seconds\": %.4f, \"p50\": %.3f, \"p99\": %.3f, "
           "\"longest\": %.3f, \"complaint\": \"%s\"}\n",
           taken, refused, broken + open_sessions, took, share(0.5), share(0.99), share(1), complaint);
    return 0;
}
