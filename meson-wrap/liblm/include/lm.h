/* lm.h: Lightweight Messages, UDP datagrams of up to 65,507 bytes without a copy, over DPDK. lm(3) is the
 * manual. Generated from meson-wrap/liblm/src: change those. */

#ifndef LM_H
#define LM_H

#include <stddef.h>
#include <stdint.h>
struct iovec;
struct rte_mbuf;
struct rte_mempool;


// How a datagram is known to be whole.
typedef enum {
    // Every fragment's header was seen.
    LM_PROOF_HEADERS = 1,
    // The UDP checksum agrees, and so does what proves the fragments' order.
    LM_PROOF_CHECKSUM = 2,
    // The end tag ties the last fragment to the first.
    LM_PROOF_TAGS = 4,
} lm_proof;

// An open node. It belongs to the thread that opened it, until lm_detach().
typedef struct lm_t lm_t;

// How a node is opened. lm_config_default() fills it in; a program that is older or newer than the library
// is understood by `size`.
typedef struct {
    // sizeof(lm_config), as the program was compiled.
    uint32_t size;
    // sizeof(lm_message), as the program was compiled.
    uint32_t message_size;
    // The node's IPv4 address, such as "10.1.0.2", for which it answers ARP. It must be set; it is read by
    // lm_open() and lm_adopt() only.
    const char *address;
    // The UDP port whose datagrams are taken, and that is sent from. 0: datagrams to any port are taken.
    uint16_t port;
    // Bytes of IP packet on the link, 576 to 9216; all nodes have the same. Default: 1500.
    uint16_t mtu;
    // Descriptors to receive into, 1 to 32768 as the device allows. Default: 512.
    uint16_t rx_descriptors;
    // Descriptors to send from. 0: as many as suit the device (lm_adopt: 512).
    uint16_t tx_descriptors;
    // Frames that one lm_poll() takes of a queue, 1 to 512. Default: 32.
    uint16_t burst;
    // Datagrams that can be put together from interleaved fragments at the same time, 1 to 256, each of
    // which takes 64 KiB. Default: 64.
    uint16_t reassembly;
    // Bits of lm_proof that each suffice as proof that a datagram is whole. Default: LM_PROOF_HEADERS |
    // LM_PROOF_CHECKSUM.
    uint16_t require;
    // 1: UDP checksums are computed for what is sent. 0: they are not. Default: 1.
    uint8_t checksum;
    // 1: lm_get_fd() and lm_arm() work, where the device can interrupt. Default: 0.
    uint8_t interrupts;
    // Bytes of the landing region. It grows while messages are held. Default: 4 MiB.
    uint64_t region;
    // The hardware address that everything is sent to. All zero: peers are asked by ARP.
    uint8_t peer_mac[6];
    // Admission control, as all nodes of a cluster have it. 0: off. 1: exclusive, the
    // paper's policy. 2: per receiver. Ports of LM's own only.
    uint16_t admission;
    // 32 bytes that control messages are signed with. NULL: they are not signed.
    const uint8_t *key;
} lm_config;

// An IPv4 address and a UDP port, both in host byte order, as DPDK's RTE_IPV4() makes them.
typedef struct {
    // 10.1.0.2 is 0x0a010002.
    uint32_t ip;
    // The UDP port.
    uint16_t port;
    // Zero.
    uint16_t reserved;
} lm_address;

// A datagram that is whole. lm_poll() fills it in. It may be copied; the copies are one message, which is
// released once.
typedef struct {
    // The payload where it landed. NULL: it lies in pieces: lm_pieces(), or lm_contiguous().
    const void *data;
    // Bytes of payload: 0 to 65507.
    size_t len;
    // Who sent it.
    lm_address from;
    // Whom it was sent to.
    lm_address to;
    // Bytes that were copied to make it whole: none, or all.
    uint32_t copied;
    // How it is known to be whole: one of lm_proof.
    uint16_t proof;
    // In how many fragments it came.
    uint16_t fragments;
    // The library's. NULL: this is no message, or it was given back.
    lm_t *owner;
    // The library's.
    uint32_t slot;
    // The library's.
    uint32_t generation;
} lm_message;

// A buffer that is sent from, with holes for headers. lm_buffer() gives it; `data` is written, and
// lm_advance() says how much.
typedef struct {
    // Where the next bytes go. NULL: nothing more fits.
    void *data;
    // How many of them fit there; behind them lm_advance() goes to the next block.
    size_t room;
    // Bytes of payload so far.
    size_t len;
    // The library's. NULL: this is no buffer, or it was given back.
    lm_t *owner;
    // The library's.
    uint32_t slot;
    // The library's.
    uint32_t generation;
} lm_sendbuf;

// A counter.
typedef struct {
    // Its name.
    char name[32];
    // Its value.
    uint64_t value;
} lm_counter;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Fills a configuration with defaults: what lm_config_default() calls. `size` is sizeof(lm_config), and
// `message_size` sizeof(lm_message).
//
// Threads: any. Returns 0, or -EINVAL.
//
// The caller promises:
// `config` is NULL or has room for `size` bytes.
int lm_config_init(lm_config *config,
                   size_t size,
                   size_t message_size);

// Initialises EAL, for a program that does not call rte_eal_init() itself, and takes its arguments as that
// does. Returns how many were taken, so that the program's own begin behind them.
//
// Threads: one, once in a process. It becomes the main lcore. Errors: those of rte_eal_init(), such as
// -EALREADY; -EINVAL; -ENOTSUP: it would be a secondary process.
//
// The caller promises:
// `argv` is NULL or has `argc` NUL-terminated strings, which live as long as the process.
int lm_init(int argc,
            char **argv);

// Cleans EAL up, as rte_eal_cleanup() does, for a program that called lm_init(). Nothing of LM or DPDK is
// used afterwards.
//
// Threads: the one that called lm_init(). Returns 0, or -EBUSY: an lm_t is open.
int lm_cleanup(void);

// Opens the port of a device as a node: prepares it for landing and starts it. `device` is its name in EAL,
// such as "0000:01:00.0" or "net_tap0". A net_memif client waits up to 5 s for its server; else it does not
// wait for the link.
//
// Threads: any; the handle belongs to the calling one. Returns NULL on failure; lm_strerror(0) says why.
//
// The caller promises:
// `device` is NULL or NUL-terminated; `config` is NULL or was filled in by lm_config_default().
lm_t *lm_open(const char *device,
              const lm_config *config);

// Memory for receive queue `queue` of a port that the program opens itself. The program gives lm_mempool()
// to rte_eth_rx_queue_setup(), with config->rx_descriptors, sets up a transmit queue of the same number, and
// starts the port. The first lm_poll() or lm_send() adopts both queues. From then on the program does not
// call rte_eth_rx_burst() on that queue, and calls rte_eth_tx_burst() on the other only in the thread of
// this handle. It closes the handle, and then stops the port.
//
// Threads: any; the handle belongs to the calling one. Returns NULL on failure; lm_strerror(0) says why.
//
// The caller promises:
// `config` is NULL or was filled in by lm_config_default().
lm_t *lm_adopt(uint16_t port,
               uint16_t queue,
               const lm_config *config);

// The pool for rte_eth_rx_queue_setup(). It lives until the handle is closed and no device has mbufs of it.
//
// Threads: the handle's. Returns NULL: the handle was not made by lm_adopt(), or the queue was adopted.
//
// The caller promises:
// `lm` is NULL or open.
struct rte_mempool *lm_mempool(lm_t *lm);

// Gives the handle away: the next thread that calls any function with it is its thread.
//
// Threads: the handle's. Returns 0.
//
// The caller promises:
// `lm` is NULL or open.
int lm_detach(lm_t *lm);

// Stops and closes a port of LM's own, or gives an adopted queue back. What waits to be sent is dropped; the
// device has 100 ms to take the last frames. The handle must not be used afterwards.
//
// Threads: the handle's. Returns 0. -EBUSY: messages or send buffers are held; the handle stays open.
//
// The caller promises:
// `lm` is NULL or open.
int lm_close(lm_t *lm);

// What a negative return value means. If `code` is the last failure of this thread, or 0, it is the line
// that says what happened, with which value, and what to do; it is valid until the thread's next failure.
//
// Threads: any. Never NULL.
const char *lm_strerror(int code);

// Reads an address such as "10.1.0.2:7000", or "10.1.0.2", whose port is 0.
//
// Threads: any. Returns 0, or -EINVAL.
//
// The caller promises:
// `from` is NULL or NUL-terminated; `address` is NULL or valid.
int lm_parse(const char *from, lm_address *address);

// Polls once, and gives at most `n` messages. Sends what waits, and answers ARP. It does not wait: 0 says
// that nothing became whole. What does not fit in `messages` comes with the next call.
//
// A call that gives messages leaves a part of its work to the next one (questions of ARP, admission control,
// telemetry), so that the messages can be answered first. So call again, until it gives 0, before sleeping.
//
// Each message keeps its memory until lm_release(), lm_forward() or lm_mbuf() takes it. A message that is
// kept long makes the landing region grow.
//
// Threads: the handle's. Returns how many messages there are. -ENOTCONN: the adopted port is not started, or
// not set up with lm_mempool(). -ENOBUFS: 65536 messages are held. -EIO: the node is broken.
//
// The caller promises:
// `lm` is NULL or open; `messages` is NULL or has room for `n`.
int lm_poll(lm_t *lm,
            lm_message *messages,
            int n);

// Gives a message's memory back.
//
// Threads: any, and another one than the handle's costs a little more. Returns 0. -ESTALE: it was released
// or sent before.
//
// The caller promises:
// `message` is NULL or was given by lm_poll(), and the handle is open.
int lm_release(lm_message *message);

// Where a message's payload lies, in order. At most `n` of `pieces` are filled in, which belong to the
// message.
//
// Threads: any that has the message. Returns how many pieces there are, which may be more than `n`; an empty
// message has none. -ESTALE as for lm_release().
//
// The caller promises:
// `message` as for lm_release(); `pieces` is NULL or has room for `n`.
int lm_pieces(const lm_message *message,
              struct iovec *pieces,
              int n);

// Makes a payload that lies in pieces one, by one copy, and sets message->data and message->copied. Where it
// is one already, nothing happens.
//
// Threads: any that has the message. Returns 0, or -ESTALE as for lm_release().
//
// The caller promises:
// As for lm_release().
int lm_contiguous(lm_message *message);

// Turns a message into an mbuf of one segment from `pool`, without a copy. The message is gone; its memory
// goes back when the mbuf is freed, also after lm_close().
//
// Threads: any that has the message. Returns NULL, and the message stays, on failure: the pool is empty, or
// the payload lies where devices cannot read it in one piece (ENOBUFS), or as for lm_release().
//
// The caller promises:
// `message` as for lm_release(). `pool` is NULL or a pool of mbufs of DPDK's own kind, which lives as long
// as the mbuf.
struct rte_mbuf *lm_mbuf(lm_message *message,
                         struct rte_mempool *pool);

// Sends a copy of `len` bytes, 65507 at most, from this node's address and UDP port. It does not wait.
//
// Threads: the handle's. Returns 0: it is in the transmit queue. 1: it waits, for room in the queue, the
// peer's hardware address or admission; later polls send it, and after 2 s it is dropped and counted. Both
// keep nothing of the caller's. -EAGAIN: all buffers are in flight, or 256 messages wait: nothing was taken.
// -EMSGSIZE: it is too long.
//
// The caller promises:
// `lm` is NULL or open; `to` is NULL or valid; `data` has `len` bytes, or `len` is 0.
int lm_send(lm_t *lm,
            const lm_address *to,
            const void *data,
            size_t len);

// Sends a message on from where it lies, without a copy of full frames. It may come from another handle.
//
// Threads: that of `lm`, and it has the message. Returns 0 or 1 as lm_send() does; the message is taken, and
// its memory goes back when it was sent. -EAGAIN: 256 messages wait. -ESTALE: it was released or sent
// before. After an error the message is still the caller's.
//
// The caller promises:
// `lm` is NULL or open; `to` is NULL or valid, and may be a part of the message; `message` as for
// lm_release().
int lm_forward(lm_t *lm,
               const lm_address *to,
               lm_message *message);

// An empty buffer in the memory that is sent from. The payload is written at buffer->data, and lm_advance()
// goes to the next block; lm_commit() sends it.
//
// Threads: the handle's. Returns 0. -EAGAIN: all are in flight: poll, and ask again.
//
// The caller promises:
// `lm` is NULL or open; `buffer` is NULL or valid.
int lm_buffer(lm_t *lm,
              lm_sendbuf *buffer);

// Says that `n` bytes were written at buffer->data, buffer->room at most. buffer->data and buffer->room are
// then those of what is left.
//
// Threads: the handle's. Returns 0. -EINVAL: there is not so much room. -ESTALE: the buffer was sent or
// discarded before.
//
// The caller promises:
// `buffer` is NULL or was given by lm_buffer(), and the handle is open.
int lm_advance(lm_sendbuf *buffer,
               size_t n);

// Sends what was written to a buffer, without a copy.
//
// Threads: the handle's. Returns 0 or 1 as lm_send() does; the buffer is taken. -EAGAIN: 256 messages wait.
// After an error the buffer is still the caller's.
//
// The caller promises:
// `lm` is NULL or open; `to` is NULL or valid; `buffer` as for lm_advance().
int lm_commit(lm_t *lm,
              const lm_address *to,
              lm_sendbuf *buffer);

// Gives a buffer back unsent.
//
// Threads: the handle's. Returns 0. -ESTALE: it was sent or discarded before.
//
// The caller promises:
// As for lm_advance().
int lm_discard(lm_sendbuf *buffer);

// Every counter with its name, at most `n` of them: `datagrams`, `bytes`, `copied_datagrams`, then drops by
// reason, then what was sent. docs/c.md has the list. `counters` may be NULL where `n` is 0.
//
// Threads: the handle's. Returns how many there are, which may be more than `n`.
//
// The caller promises:
// `lm` is NULL or open; `counters` is NULL or has room for `n`.
int lm_counters(lm_t *lm,
                lm_counter *counters,
                int n);

// Shows all nodes of this process to DPDK's telemetry: dpdk-telemetry.py has /lm/ports and others
// (docs/telemetry.md). It lasts as long as the process.
//
// Threads: any. Returns 0. -ENODEV: EAL is not initialised.
int lm_telemetry(void);

// A file descriptor that is readable when frames have come, for an epoll instance of one's own. It is the
// library's, which closes it in lm_close(). lm_arm() says when it may be waited for.
//
// Threads: the handle's. Returns it. -ENOTSUP: the device cannot interrupt, or config.interrupts was 0.
//
// The caller promises:
// `lm` is NULL or open.
int lm_get_fd(lm_t *lm);

// `on` 1: frames interrupt from now on. The order that loses none: lm_arm(lm, 1); lm_poll() until it gives
// 0; wait for lm_get_fd(), for at most as many milliseconds as lm_arm() returned; lm_arm(lm, 0).
//
// Threads: the handle's. Returns, for 1, for how many milliseconds the thread may sleep at most: 0 says not
// now, since something waits to be sent or to become whole. For 0: 0. -ENOTSUP as for lm_get_fd().
//
// The caller promises:
// `lm` is NULL or open.
int lm_arm(lm_t *lm,
           int on);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LM_H */

/* A configuration that fits most nodes; set at least `address`. */
static inline lm_config lm_config_default(void)
{
    lm_config config;
    lm_config_init(&config, sizeof(config), sizeof(lm_message));
    return config;
}
