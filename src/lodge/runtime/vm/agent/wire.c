/* Frames on the port to the host, and the fields in them. A frame is kind, zero, channel (16 bits), length (32
 * bits), all little-endian, then the payload. A field is tag (16 bits), length (32 bits), bytes.
 */
#include "agent.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER 8u

static int port = -1;
static uint8_t *incoming;
static size_t incoming_used;
static uint8_t *outgoing;
static size_t outgoing_used, outgoing_sent, outgoing_room;

void wire_open(int fd)
{
	port = fd;
	incoming = malloc(FRAME_LIMIT + HEADER);
}

int wire_fd(void)
{
	return port;
}

short wire_wants(void)
{
	return (short)(POLLIN | (outgoing_used > outgoing_sent ? POLLOUT : 0));
}

size_t wire_backlog(void)
{
	return outgoing_used - outgoing_sent;
}

static uint32_t get32(const uint8_t *bytes)
{
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put32(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

int wire_receive(void (*handle)(uint8_t, uint16_t, const uint8_t *, uint32_t))
{
	ssize_t got = read(port, incoming + incoming_used, FRAME_LIMIT + HEADER - incoming_used);
	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : got < 0 ? -1 : 0;
	incoming_used += (size_t)got;
	size_t start = 0;
	while (incoming_used - start >= HEADER) {
		const uint8_t *frame = incoming + start;
		uint32_t length = get32(frame + 4);
		if (length > FRAME_LIMIT || frame[1] != 0)
			return -1;
		if (incoming_used - start - HEADER < length)
			break;
		handle(frame[0], (uint16_t)(frame[2] | frame[3] << 8), frame + HEADER, length);
		start += HEADER + length;
	}
	memmove(incoming, incoming + start, incoming_used - start);
	incoming_used -= start;
	return 0;
}

void wire_flush(void)
{
	while (outgoing_sent < outgoing_used) {
		ssize_t put = write(port, outgoing + outgoing_sent, outgoing_used - outgoing_sent);
		if (put <= 0)
			return;
		outgoing_sent += (size_t)put;
	}
	outgoing_used = outgoing_sent = 0;
}

static void append(const void *bytes, size_t length)
{
	if (outgoing_used + length > outgoing_room) {
		outgoing_room = (outgoing_used + length) * 2;
		outgoing = realloc(outgoing, outgoing_room);
		if (outgoing == NULL)
			abort();
	}
	if (length > 0)
		memcpy(outgoing + outgoing_used, bytes, length);
	outgoing_used += length;
}

void wire_send2(uint8_t kind, uint16_t channel, const void *head, uint32_t head_length, const void *payload,
		uint32_t length)
{
	uint8_t header[HEADER] = {kind, 0, (uint8_t)channel, (uint8_t)(channel >> 8)};
	put32(header + 4, head_length + length);
	append(header, HEADER);
	append(head, head_length);
	append(payload, length);
	wire_flush();
}

void wire_send(uint8_t kind, uint16_t channel, const void *payload, uint32_t length)
{
	wire_send2(kind, channel, NULL, 0, payload, length);
}

/* An answer: error number, step, text. */
static void answer_raw(uint16_t channel, int32_t error, uint32_t stage, const char *text, size_t length)
{
	uint8_t head[8];
	put32(head, (uint32_t)error);
	put32(head + 4, stage);
	wire_send2(ANSWER, channel, head, sizeof head, text, (uint32_t)length);
}

void answer(uint16_t channel, const struct failure *failure)
{
	answer_raw(channel, failure->error, failure->stage, failure->text, strnlen(failure->text, sizeof failure->text));
}

void answer_text(uint16_t channel, const char *text, size_t length)
{
	answer_raw(channel, 0, AT_NOTHING, text, length);
}

int next_field(const uint8_t *payload, uint32_t length, uint32_t *offset, struct field_at *found)
{
	if (*offset == length)
		return 0;
	if (length - *offset < 6)
		return -1;
	const uint8_t *at = payload + *offset;
	found->tag = (uint16_t)(at[0] | at[1] << 8);
	found->length = get32(at + 2);
	if (found->length > length - *offset - 6)
		return -1;
	found->bytes = at + 6;
	*offset += 6 + found->length;
	return 1;
}

char *field_text(const struct field_at *field)
{
	return strndup((const char *)field->bytes, field->length);
}

uint32_t field_u32(const struct field_at *field)
{
	return field->length >= 4 ? get32(field->bytes) : 0;
}

uint64_t field_u64(const struct field_at *field, unsigned index)
{
	if (field->length < 8 * (index + 1))
		return 0;
	const uint8_t *at = field->bytes + 8 * index;
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

int failed(struct failure *failure, uint32_t stage, int error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(failure->text, sizeof failure->text, format, arguments);
	va_end(arguments);
	failure->stage = stage;
	failure->error = error ? error : EINVAL;
	return -1;
}
