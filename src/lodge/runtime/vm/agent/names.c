/* The name server at 127.0.0.11: questions go to the host, which asks the one of the container's networks. */
#define _GNU_SOURCE
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASKER 6u
#define LONGEST 4090u

static int ears = -1;

int names_fd(void)
{
	return ears;
}

void names_open(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};
	inet_pton(AF_INET, "127.0.0.11", &address.sin_addr);
	ears = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(ears, (struct sockaddr *)&address, sizeof address) < 0) {
		close(ears);
		ears = -1;
	}
}

void names_ready(void)
{
	uint8_t question[ASKER + LONGEST];
	struct sockaddr_in asker;
	socklen_t size = sizeof asker;
	ssize_t got = recvfrom(ears, question + ASKER, LONGEST, 0, (struct sockaddr *)&asker, &size);
	if (got < 12)
		return;
	memcpy(question, &asker.sin_addr, 4);
	memcpy(question + 4, &asker.sin_port, 2);
	wire_send(NAME_QUERY, 0, question, ASKER + (uint32_t)got);
}

void names_answer(const uint8_t *payload, uint32_t length)
{
	struct sockaddr_in asker = {.sin_family = AF_INET};
	if (ears < 0 || length < ASKER)
		return;
	memcpy(&asker.sin_addr, payload, 4);
	memcpy(&asker.sin_port, payload + 4, 2);
	if (sendto(ears, payload + ASKER, length - ASKER, 0, (struct sockaddr *)&asker, sizeof asker) < 0)
		errno = 0; /* Whoever asked is gone, or asks again. */
}
