/* cyclone pub SIZE HZ SECONDS reliable|best-effort; cyclone sub reliable|best-effort: samples through Cyclone DDS
 * with ROS 2's quality of service: the last 10 (best effort: 5), volatile. sub runs until it is ended. */
#include <dds/dds.h>
#include <stdlib.h>
#include <unistd.h>

#include "payload.h"
#include "sample.h"

static void hear(dds_entity_t reader, void *unused)
{
    void *samples[1] = {NULL};
    dds_sample_info_t info[1];
    (void)unused;
    while (dds_take(reader, samples, info, 1, 1) == 1) {
        const lm_Sample *sample = samples[0];
        if (info[0].valid_data)
            tell(sample->bytes._buffer, sample->bytes._length);
        dds_return_loan(reader, samples, 1);
    }
}

static dds_entity_t made(dds_entity_t entity, const char *what)
{
    if (entity < 0) {
        fprintf(stderr, "cyclone: no %s: %s\n", what, dds_strretcode(-entity));
        exit(1);
    }
    return entity;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 6) {
        fprintf(stderr, "cyclone pub SIZE HZ SECONDS HOW | cyclone sub HOW\n");
        return 2;
    }
    int best_effort = !strcmp(argv[argc - 1], "best-effort");
    dds_entity_t participant = made(dds_create_participant(DDS_DOMAIN_DEFAULT, NULL, NULL), "participant");
    dds_entity_t topic = made(dds_create_topic(participant, &lm_Sample_desc, "lm", NULL, NULL), "topic");
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, best_effort ? DDS_RELIABILITY_BEST_EFFORT : DDS_RELIABILITY_RELIABLE, DDS_MSECS(100));
    dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, best_effort ? 5 : 10);
    dds_qset_durability(qos, DDS_DURABILITY_VOLATILE);
    if (argc == 3) {
        dds_listener_t *listener = dds_create_listener(NULL);
        dds_lset_data_available(listener, hear);
        made(dds_create_reader(participant, topic, qos, listener), "reader");
        for (;;)
            pause();
    }
    size_t size = (size_t)atol(argv[2]);
    double hz = atof(argv[3]), seconds = atof(argv[4]);
    dds_entity_t writer = made(dds_create_writer(participant, topic, qos, NULL), "writer");
    dds_publication_matched_status_t matched = {0};
    for (int i = 0; i < 200 && !matched.current_count; i++) {
        usleep(50000);
        dds_get_publication_matched_status(writer, &matched);
    }
    if (!matched.current_count) {
        fprintf(stderr, "cyclone: nobody subscribes\n");
        return 1;
    }
    usleep(500000);
    uint8_t *bytes = malloc(size);
    lm_Sample sample = {{(uint32_t)size, (uint32_t)size, bytes, false}};
    double began = now();
    for (uint64_t n = 0; (double)n < seconds * hz; n++) {
        fill(bytes, size, n);
        await(began, hz, n);
        /* A writer that waits for room gives up after a tenth of a second. */
        dds_return_t code = dds_write(writer, &sample);
        if (code != DDS_RETCODE_OK && code != DDS_RETCODE_TIMEOUT)
            made(code, "write");
    }
    /* What was lost is sent again. */
    sleep(1);
    return 0;
}
