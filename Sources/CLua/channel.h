// Messages on the script process's socket, and growing buffers to make them of.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *bytes;
    size_t size;
    size_t capacity;
};

void buffer_append(struct buffer *buffer, const void *bytes, size_t size);
void buffer_append_text(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_append_number(struct buffer *buffer, uint32_t number);
void buffer_clear(struct buffer *buffer);

/// The message that arrived last; it is overwritten by the next.
struct message {
    char kind;
    const char *body;
    size_t size;
};

/// Sends `kind` and the buffer. The process ends where the sidecar is gone.
void channel_send(int channel, char kind, const struct buffer *body);

/// Waits for a message. 0 where the sidecar has closed.
int channel_receive(int channel, struct message *message);

/// Reads a number, or a string of a length before it, and moves on. 0 where the body is too short.
int message_number(struct message *message, uint32_t *number);
int message_string(struct message *message, const char **bytes, size_t *size);
