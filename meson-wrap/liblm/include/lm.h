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
    // The header of every fragment was read.
    LM_PROOF_HEADERS = 1,
    // The UDP checksum is right, and the order of the fragments is proven.
    LM_PROOF_CHECKSUM = 2,
    // The end tag ties the last fragment to the first.
    LM_PROOF_TAGS = 4,
} lm_proof;

// An open node. It belongs to the thread that opened it, until lm_detach().
typedef struct lm_t lm_t;

// How a node is opened. lm_config_default() fills it in. `size` lets the library understand programs that
// were compiled with an older or a newer header.
typedef struct {
    // sizeof(lm_config), as the program was compiled.
    uint32_t size;
    // sizeof(lm_message), as the program was compiled.
    uint32_t message_size;
    // The node's IPv4 address, such as "10.1.0.2". It must be set. The node answers ARP for it. Only
    // lm_open() and lm_adopt() read the string.
    const char *address;
    // The UDP port that the node receives on and sends from. 0: it receives datagrams to any port.
    uint16_t port;
    // The link's MTU: bytes of an IP packet, 576 to 9216. All nodes need the same. Default: 1500.
    uint16_t mtu;
    // Descriptors of each receive queue, 1 to 32768, as many as the device allows. Default: 512.
    uint16_t rx_descriptors;
    // Descriptors of the transmit queue. 0: as many as suit the device (lm_adopt: 512).
    uint16_t tx_descriptors;
    // Frames that one lm_poll() takes from a queue at most, 1 to 512. Default: 32.
    uint16_t burst;
    // How many datagrams each queue can put together from interleaved fragments at once, 1 to 256. Each
    // needs a buffer of 64 KiB. Default: 64.
    uint16_t reassembly;
    // The accepted proofs that a datagram is whole: bits of lm_proof, one of which suffices. Default:
    // LM_PROOF_HEADERS | LM_PROOF_CHECKSUM.
    uint16_t require;
    // 1: sent datagrams get a UDP checksum. 0: they get none. Default: 1.
    uint8_t checksum;
    // 1: lm_get_fd() and lm_arm() can be used, if the device can interrupt. Default: 0.
    uint8_t interrupts;
    // Bytes of the landing region. It grows while messages are held. Default: 4 MiB.
    uint64_t region;
    // The hardware address that everything is sent to. All zero: the node asks its peers by ARP.
    uint8_t peer_mac[6];
    // Admission control. 0: off. 1: exclusive, as in the paper. 2: per receiver. All nodes of a cluster need
    // the same. It is only for ports that lm_open() opens.
    uint16_t admission;
    // The cluster's key of 32 bytes, by which control messages are signed. NULL: they are not signed.
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

// A datagram that is whole. lm_poll() fills it in. The structure may be copied, but all copies are the same
// message, which is released once.
typedef struct {
    // The payload, where it landed. NULL: it lies in pieces: use lm_pieces() or lm_contiguous().
    const void *data;
    // Bytes of payload: 0 to 65507.
    size_t len;
    // Who sent it.
    lm_address from;
    // Whom it was sent to.
    lm_address to;
    // Bytes of payload that were copied to put it together: none, or all.
    uint32_t copied;
    // How it is known to be whole: one of lm_proof.
    uint16_t proof;
    // In how many fragments it came.
    uint16_t fragments;
    // For the library. NULL: this is no message, or it was given back.
    lm_t *owner;
    // The library's.
    uint32_t slot;
    // The library's.
    uint32_t generation;
} lm_message;

// A buffer to send from, which leaves room for headers between the blocks of payload. lm_buffer() fills it
// in. The program writes to `data`, and says by lm_advance() how much it wrote.
typedef struct {
    // Where the next bytes go. NULL: nothing more fits.
    void *data;
    // How many bytes fit there. When this block is full, lm_advance() goes on to the next one.
    size_t room;
    // Bytes of payload so far.
    size_t len;
    // For the library. NULL: this is no buffer, or it was given back.
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

// Fills a configuration with defaults. Programs call lm_config_default(), which calls this. `size` is
// sizeof(lm_config), and `message_size` is sizeof(lm_message).
//
// Threads: any. Returns 0. -EINVAL: `config` is NULL, or no version of lm.h has structures of these sizes;
// nothing is written then.
//
// The caller promises:
// `config` is NULL or has room for `size` bytes.
int lm_config_init(lm_config *config,
                   size_t size,
                   size_t message_size);

// Initialises EAL, for a program that does not call rte_eal_init() itself. The arguments are those of
// rte_eal_init(). Returns how many of them EAL took; the program's own arguments begin behind these. Before
// EAL loads its plug-ins, this function takes a place for LM in DPDK's table of mempool handlers.
//
// Threads: one, once in a process; it becomes the main lcore. Errors: those of rte_eal_init(), such as
// -EALREADY. -EINVAL: an argument is wrong. From DPDK 25.11 on EAL itself ends the process then, with code
// 234, as all releases do for --help. -ENOTSUP: it would be a secondary process. -ENOSPC: the plug-ins left
// no place in the table for ring_mp_mc, the handler of DPDK's own pools: load fewer mempool drivers (-d).
//
// The caller promises:
// `argv` is NULL or has `argc` NUL-terminated strings, which live as long as the process.
int lm_init(int argc,
            char **argv);

// Cleans EAL up, as rte_eal_cleanup() does, for a program that called lm_init(). Afterwards the program must
// not use LM or DPDK.
//
// Threads: the one that called lm_init(). Returns 0, or -EBUSY: an lm_t is open.
int lm_cleanup(void);

// Opens the port of a device as a node: prepares it for landing and starts it. `device` is its name in EAL,
// such as "0000:01:00.0" or "net_tap0". A net_memif client waits up to 5 s for its server. On other devices
// this function does not wait for the link.
//
// Threads: any; the handle belongs to the calling one. Returns NULL on failure; lm_strerror(0) says why.
// EBUSY: the device is open already, or lm_adopt() has a queue of it. ENOSPC: DPDK's table of mempool
// handlers was full before LM's or ring_mp_mc had a place in it; lm_init() gives LM's the first place. Where
// the device itself failed or cannot land, it may be closed, as by lm_close(). The next call does not find
// it then.
//
// The caller promises:
// `device` is NULL or NUL-terminated; `config` is NULL or was filled in by lm_config_default().
lm_t *lm_open(const char *device,
              const lm_config *config);

// Makes the memory for receive queue `queue` of a port that the program opens itself. The program passes
// lm_mempool() and config->rx_descriptors to rte_eth_rx_queue_setup(), sets up the transmit queue of the
// same number, and starts the port. The first lm_poll() or lm_send() adopts both queues. From then on the
// program must not call rte_eth_rx_burst() on the receive queue, and it may call rte_eth_tx_burst() on the
// transmit queue only in the thread of this handle. At the end it closes the handle, and then stops the
// port.
//
// Threads: any; the handle belongs to the calling one. Returns NULL on failure; lm_strerror(0) says why.
// EBUSY: lm_open() has the port, or another handle has the queue. ENOSPC as for lm_open().
//
// The caller promises:
// `config` is NULL or was filled in by lm_config_default().
lm_t *lm_adopt(uint16_t port,
               uint16_t queue,
               const lm_config *config);

// Returns the pool for rte_eth_rx_queue_setup(). The pool lives until the handle is closed and no device has
// mbufs of it.
//
// Threads: the handle's. Returns NULL if the handle was not made by lm_adopt(), or if its queue is adopted
// already.
//
// The caller promises:
// `lm` is NULL or open.
struct rte_mempool *lm_mempool(lm_t *lm);

// Gives the handle to another thread: it belongs to the next thread that calls any function with it.
//
// Threads: the handle's. Returns 0.
//
// The caller promises:
// `lm` is NULL or open.
int lm_detach(lm_t *lm);

// Stops and closes a port that lm_open() opened, or gives an adopted queue back. DPDK forgets a closed
// device: lm_open() does not find it until it is attached anew. Messages that wait to be sent are dropped.
// The device has 100 ms to take the last frames. The handle must not be used afterwards.
//
// Threads: the handle's. Returns 0. -EBUSY: messages or send buffers are held; the handle stays open. -EIO:
// the device cannot be stopped; the handle is closed all the same.
//
// The caller promises:
// `lm` is NULL or open.
int lm_close(lm_t *lm);

// Returns what a negative return value means. If `code` is the last failure of this thread, or 0, that is a
// line that says what happened, with which value, and what to do. It is valid until the thread's next
// failure.
//
// Threads: any. Never NULL.
const char *lm_strerror(int code);

// Reads an address such as "10.1.0.2:7000". Without a port, as in "10.1.0.2", the port is 0.
//
// Threads: any. Returns 0, or -EINVAL.
//
// The caller promises:
// `from` is NULL or NUL-terminated; `address` is NULL or valid.
int lm_parse(const char *from, lm_address *address);

// Polls once, and returns at most `n` messages. It also sends messages that wait, and answers ARP. It does
// not wait: 0 means that no message is whole yet. Messages that do not fit in `messages` come with the next
// call.
//
// A call that returns messages leaves a part of its work to the next call (ARP requests, admission control,
// telemetry), so that the program can answer the messages first. So before it sleeps, a program calls
// lm_poll() until it returns 0.
//
// Each message keeps its memory until lm_release(), lm_forward() or lm_mbuf() takes it. A message that is
// kept long makes the landing region grow.
//
// Threads: the handle's. Returns how many messages it filled in. -ENOTCONN: the adopted port is not
// started, or not set up with lm_mempool(): call again when it is. -ENOBUFS: the program holds some 65536
// messages: release some. -ENOMEM (there is too little memory to adopt the queue), -ENOTSUP (its frames
// begin with a time stamp), -EIO (the node is broken): close the handle.
//
// The caller promises:
// `lm` is NULL or open; `messages` is NULL or has room for `n`.
int lm_poll(lm_t *lm,
            lm_message *messages,
            int n);

// Releases a message: its memory can be used again.
//
// Threads: any; in other threads than the handle's it costs a little more. Returns 0. -ESTALE: the message
// was released or sent before.
//
// The caller promises:
// `message` is NULL or was given by lm_poll(), and the handle is open. No other thread uses the message, or
// a copy of it, at the same time.
int lm_release(lm_message *message);

// Tells where a message's payload lies: its pieces, in order. At most `n` of `pieces` are filled in. Their
// memory belongs to the message.
//
// Threads: any that has the message. Returns how many pieces there are, which may be more than `n`; an empty
// message has none. -ESTALE as for lm_release().
//
// The caller promises:
// `message` as for lm_release(); `pieces` is NULL or has room for `n`.
int lm_pieces(const lm_message *message,
              struct iovec *pieces,
              int n);

// Copies a payload that lies in pieces into one piece, and sets message->data and message->copied. The
// pieces that lm_pieces() told of go back, and must not be read any more. A payload that lies in one piece
// already stays where it is.
//
// Threads: any that has the message. Returns 0, or -ESTALE as for lm_release().
//
// The caller promises:
// As for lm_release().
int lm_contiguous(lm_message *message);

// Turns a message into an mbuf of one segment from `pool`, without a copy. The message is taken. Its memory
// is released when the mbuf is freed, which may be after lm_close().
//
// Threads: any that has the message. Returns NULL on failure, and the message is still the caller's.
// ENOBUFS: the pool is empty, or the payload lies where devices cannot read it in one piece. EINVAL: the
// pool's objects are no mbufs, or have external memory pinned to them. ESTALE as for lm_release().
//
// The caller promises:
// `message` as for lm_release(). `pool` is NULL or a mempool, which lives as long as the mbuf.
struct rte_mbuf *lm_mbuf(lm_message *message,
                         struct rte_mempool *pool);

// Sends a copy of `len` bytes, 65507 at most, from this node's address and UDP port. It does not wait.
//
// Threads: the handle's. Returns 0: the message is in the transmit queue. 1: it waits for room in the queue,
// for the peer's hardware address, or for admission; later polls send it, and after 2 s it is dropped and
// counted. In both cases the caller may use its memory again. -EAGAIN: all buffers are in flight, or 256
// messages wait; nothing was taken. -EMSGSIZE: the message is too long. -EINVAL: to->ip is 0, or
// to->reserved is not. -ENOTCONN, -ENOMEM, -ENOTSUP, -EIO as for lm_poll().
//
// The caller promises:
// `lm` is NULL or open; `to` is NULL or valid; `data` has `len` bytes, or `len` is 0.
int lm_send(lm_t *lm,
            const lm_address *to,
            const void *data,
            size_t len);

// Sends a received message on from where it lies. Full frames are not copied. The message may come from
// another handle.
//
// Threads: that of `lm`, if it has the message. Returns 0 or 1 as lm_send() does. Then the message is taken,
// and its memory is released when it was sent. -EAGAIN: 256 messages wait. -ESTALE: the message was released
// or sent before. -ENOTCONN, -ENOMEM, -ENOTSUP, -EIO as for lm_poll(). After an error the message is still
// the caller's.
//
// The caller promises:
// `lm` is NULL or open; `to` is NULL or valid, and may be a part of the message; `message` as for
// lm_release().
int lm_forward(lm_t *lm,
               const lm_address *to,
               lm_message *message);

// Gives an empty send buffer, so that a payload can be written where it is sent from. The program writes at
// buffer->data, lm_advance() goes on to the next block, and lm_commit() sends the message.
//
// Threads: the handle's. Returns 0. -EAGAIN: all buffers are in flight: poll, and ask again. -ENOTCONN,
// -ENOMEM, -ENOTSUP, -EIO as for lm_poll().
//
// The caller promises:
// `lm` is NULL or open; `buffer` is NULL or valid.
int lm_buffer(lm_t *lm,
              lm_sendbuf *buffer);

// Says that `n` bytes were written at buffer->data, which may be buffer->room at most. Then sets
// buffer->data and buffer->room to the place and the size of the room that is left.
//
// Threads: the handle's. Returns 0. -EINVAL: `n` is larger than buffer->room. -ESTALE: the buffer was sent
// or discarded before.
//
// The caller promises:
// `buffer` is NULL or was given by lm_buffer(), and the handle is open.
int lm_advance(lm_sendbuf *buffer,
               size_t n);

// Sends what was written to a buffer, without a copy.
//
// Threads: the handle's. Returns 0 or 1 as lm_send() does. Then the buffer is taken. -EAGAIN: 256 messages
// wait. -ESTALE: the buffer was sent or discarded before. -EIO as for lm_poll(). After an error the buffer
// is still the caller's.
//
// The caller promises:
// `lm` is NULL or open; `to` is NULL or valid; `buffer` as for lm_advance().
int lm_commit(lm_t *lm,
              const lm_address *to,
              lm_sendbuf *buffer);

// Gives a buffer back unsent.
//
// Threads: the handle's. Returns 0. -ESTALE: the buffer was sent or discarded before.
//
// The caller promises:
// As for lm_advance().
int lm_discard(lm_sendbuf *buffer);

// Fills in at most `n` counters with their names: `datagrams`, `bytes`, `copied_datagrams`, then drops by
// reason, then what was sent. docs/c.md has the list. If `n` is 0, `counters` may be NULL.
//
// Threads: the handle's. Returns how many counters there are, which may be more than `n`.
//
// The caller promises:
// `lm` is NULL or open; `counters` is NULL or has room for `n`.
int lm_counters(lm_t *lm,
                lm_counter *counters,
                int n);

// Shows all nodes of this process to DPDK's telemetry, for as long as the process runs: dpdk-telemetry.py
// then has the command /lm/ports and others (docs/telemetry.md).
//
// Threads: any. Returns 0. -ENODEV: EAL is not initialised.
int lm_telemetry(void);

// Returns a file descriptor that is readable when frames have arrived. A program can wait for it, also by an
// epoll instance of its own. lm_arm() says when it may wait. lm_close() closes the descriptor.
//
// Threads: the handle's. -ENOTSUP: the device cannot interrupt, or config.interrupts was 0.
//
// The caller promises:
// `lm` is NULL or open.
int lm_get_fd(lm_t *lm);

// Turns interrupts on (`on` 1) or off (0). In this order no frame is missed: call lm_arm(lm, 1); call
// lm_poll() until it returns 0; wait for lm_get_fd(), for at most as many milliseconds as lm_arm() returned;
// call lm_arm(lm, 0).
//
// Threads: the handle's. With `on` 1, returns for how many milliseconds the thread may sleep at most; 0: it
// must not sleep now, because something waits to be sent or to become whole. With `on` 0, returns 0.
// -ENOTSUP as for lm_get_fd().
//
// The caller promises:
// `lm` is NULL or open.
int lm_arm(lm_t *lm,
           int on);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* A configuration that fits most nodes; set at least `address`. It is all zeroes, which lm_open() refuses, if the
 * library knows no structures of these sizes. */
static inline lm_config lm_config_default(void)
{
#ifdef __cplusplus
    lm_config config = lm_config();
#else
    lm_config config = { 0 };
#endif
    lm_config_init(&config, sizeof(config), sizeof(lm_message));
    return config;
}

#endif
