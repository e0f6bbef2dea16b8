/* A sink for SMTP on loopback that costs next to nothing: one thread, epoll, pipelining; it keeps no mail.
 *
 *   sink PORT [PORT...]
 *
 * Each SIGUSR1 writes one line: connections, the most at once since the last, and messages. It takes every sender, recipient
 * and message.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 4096, LINE = 1024, READ = 65536, REPLIES = 4096 };

struct peer {
    int in_use, in_data;
    int ended;             /* how much of CRLF . CRLF was seen: 2 is "at the start of a line" */
    size_t held;           /* octets of an unfinished command line */
    char line[LINE];
};

static struct peer peers[MOST];
static int listening[MOST];
static long connections, now_open, most_open, messages;
static char octets[READ];

static void die(const char *what) { perror(what); exit(1); }

/* The reply to a command line; sets in_data after DATA. */
static const char *answer(struct peer *peer, const char *line, int *leaves) {
    if (!strncasecmp(line, "DATA", 4)) { peer->in_data = 1; peer->ended = 2; return "354 go on\r\n"; }
    if (!strncasecmp(line, "EHLO", 4))
        return "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n";
    if (!strncasecmp(line, "QUIT", 4)) { *leaves = 1; return "221 2.0.0 bye\r\n"; }
    return "250 2.0.0 ok\r\n";
}

/* Through the message, up to its end; returns where the octets after it begin, NULL when it goes on. */
static const char *through_data(struct peer *peer, const char *at, const char *end) {
    static const char mark[] = "\r\n.\r\n";
    while (at < end) {
        if (peer->ended == 0) { /* the quick way to the next end of line */
            at = memchr(at, '\r', (size_t)(end - at));
            if (!at) return NULL;
        }
        char octet = *at++;
        if (octet == mark[peer->ended]) {
            if (++peer->ended == 5) return at;
        } else {
            peer->ended = octet == '\r' ? 1 : 0;
        }
    }
    return NULL;
}

/* Whatever came at once is answered at once; 0 when the peer leaves. */
static int hear(int fd) {
    if (fd < 0 || fd >= MOST) return 0;
    struct peer *peer = &peers[fd];
    ssize_t got = recv(fd, octets, sizeof octets, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
    if (got <= 0) return 0;
    static char replies[REPLIES];
    size_t size = 0;
    int leaves = 0;
    const char *at = octets, *end = octets + got;
    while (at < end && !leaves) {
        if (peer->in_data) {
            at = through_data(peer, at, end);
            if (!at) break;
            peer->in_data = 0;
            messages++;
            size += (size_t)snprintf(replies + size, REPLIES - size, "250 2.0.0 taken\r\n");
            continue;
        }
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop ? stop + 1 : end) - at);
        if (peer->held + length >= LINE) return 0;
        memcpy(peer->line + peer->held, at, length);
        peer->held += length;
        at += length;
        if (!stop) break;
        peer->line[peer->held] = 0;
        peer->held = 0;
        const char *reply = answer(peer, peer->line, &leaves);
        if (size + strlen(reply) >= REPLIES) return 0;
        size += (size_t)snprintf(replies + size, REPLIES - size, "%s", reply);
    }
    if (size && send(fd, replies, size, MSG_NOSIGNAL) != (ssize_t)size) return 0;
    return !leaves;
}

static void welcome(int queue, int port) {
    int on = 1, fd = accept4(port, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (fd >= MOST) { close(fd); return; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    memset(&peers[fd], 0, sizeof peers[fd]);
    peers[fd].in_use = 1;
    connections++;
    if (++now_open > most_open) most_open = now_open;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    static const char greeting[] = "220 sink ESMTP\r\n";
    if (send(fd, greeting, sizeof greeting - 1, MSG_NOSIGNAL) < 0) perror("send");
}

int main(int count, char **words) {
    int queue = epoll_create1(EPOLL_CLOEXEC), on = 1;
    if (count < 2 || queue < 0) return 2;
    for (int number = 1; number < count; number++) {
        struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[number]))};
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&where, sizeof where) || listen(fd, 1024)) die("listen");
        listening[fd] = 1;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    }
    sigset_t asked;
    sigemptyset(&asked);
    sigaddset(&asked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &asked, NULL);
    int signals = signalfd(-1, &asked, SFD_NONBLOCK | SFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = signals}, found[256];
    if (signals < 0 || epoll_ctl(queue, EPOLL_CTL_ADD, signals, &event)) die("signalfd");
    for (;;) {
        int ready = epoll_wait(queue, found, 256, -1);
        for (int number = 0; number < ready; number++) {
            int fd = found[number].data.fd;
            if (fd == signals) {
                struct signalfd_siginfo information;
                if (read(signals, &information, sizeof information) > 0) {
                    printf("%ld %ld %ld\n", connections, most_open, messages);
                    fflush(stdout);
                    most_open = now_open;
                }
            } else if (listening[fd]) {
                welcome(queue, fd);
            } else if (peers[fd].in_use && !hear(fd)) {
                peers[fd].in_use = 0;
                now_open--;
                close(fd);
            }
        }
    }
}
