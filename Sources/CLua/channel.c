#include "channel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_MAXIMUM = 64 << 20, RETAINED_MAXIMUM = 1 << 20 };

static void reserve(struct buffer *buffer, size_t size) {
    if (buffer->capacity - buffer->size >= size) return;
    size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity;
    while (capacity - buffer->size < size) capacity *= 2;
    char *bytes = realloc(buffer->bytes, capacity);
    // Without memory there is nothing to answer with; the sidecar sees the end of the process.
    if (bytes == NULL) _exit(1);
    buffer->bytes = bytes;
    buffer->capacity = capacity;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t size) {
    if (size == 0) return;
    reserve(buffer, size);
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
}

void buffer_append_text(struct buffer *buffer, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size > 0) buffer_append(buffer, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
}

void buffer_append_number(struct buffer *buffer, uint32_t number) {
    unsigned char bytes[4] = {(unsigned char)number, (unsigned char)(number >> 8), (unsigned char)(number >> 16),
                              (unsigned char)(number >> 24)};
    buffer_append(buffer, bytes, 4);
}

void buffer_clear(struct buffer *buffer) {
    buffer->size = 0;
    if (buffer->capacity <= RETAINED_MAXIMUM) return;
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

static void write_all(int channel, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t written = write(channel, bytes, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) _exit(0);
        bytes += written;
        size -= (size_t)written;
    }
}

void channel_send(int channel, char kind, const struct buffer *body) {
    struct buffer head = {0};
    buffer_append_number(&head, (uint32_t)(body->size + 1));
    buffer_append(&head, &kind, 1);
    if (body->size <= RETAINED_MAXIMUM) {
        // One write, so that the sidecar wakes once.
        buffer_append(&head, body->bytes, body->size);
        write_all(channel, head.bytes, head.size);
    } else {
        write_all(channel, head.bytes, head.size);
        write_all(channel, body->bytes, body->size);
    }
    free(head.bytes);
}

static int read_all(int channel, char *bytes, size_t size) {
    while (size > 0) {
        ssize_t count = read(channel, bytes, size);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return 0;
        bytes += count;
        size -= (size_t)count;
    }
    return 1;
}

int channel_receive(int channel, struct message *message) {
    static struct buffer input;
    unsigned char head[4];
    if (!read_all(channel, (char *)head, 4)) return 0;
    size_t size = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    if (size < 1 || size > MESSAGE_MAXIMUM) return 0;
    buffer_clear(&input);
    reserve(&input, size);
    if (!read_all(channel, input.bytes, size)) return 0;
    message->kind = input.bytes[0];
    message->body = input.bytes + 1;
    message->size = size - 1;
    return 1;
}

int message_number(struct message *message, uint32_t *number) {
    if (message->size < 4) return 0;
    const unsigned char *bytes = (const unsigned char *)message->body;
    *number = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    message->body += 4;
    message->size -= 4;
    return 1;
}

int message_string(struct message *message, const char **bytes, size_t *size) {
    uint32_t count;
    if (!message_number(message, &count) || message->size < count) return 0;
    *bytes = message->body;
    *size = count;
    message->body += count;
    message->size -= count;
    return 1;
}
