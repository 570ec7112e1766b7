// fast pub SIZE HZ SECONDS reliable|best-effort; fast sub reliable|best-effort: samples through Fast DDS with its
// default transport and ROS 2's quality of service: the last 10 (best effort: 5), volatile. sub runs until it is
// ended.
#include <fastdds/dds/domain/DomainParticipant.hpp>
#include <fastdds/dds/domain/DomainParticipantFactory.hpp>
#include <fastdds/dds/publisher/DataWriter.hpp>
#include <fastdds/dds/publisher/Publisher.hpp>
#include <fastdds/dds/subscriber/DataReader.hpp>
#include <fastdds/dds/subscriber/DataReaderListener.hpp>
#include <fastdds/dds/subscriber/SampleInfo.hpp>
#include <fastdds/dds/subscriber/Subscriber.hpp>
#include <fastdds/dds/topic/TopicDataType.hpp>
#include <fastdds/dds/topic/TypeSupport.hpp>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "payload.h"

// Fast DDS 2 (Debian 12) has headers of this name, and Fast DDS 3 (Debian 13) has none.
#if __has_include(<fastrtps/config.h>)
#define FAST_DDS_2 1
#else
#define FAST_DDS_2 0
#endif

using namespace eprosima::fastdds::dds;
#if FAST_DDS_2
namespace rtps = eprosima::fastrtps::rtps;
constexpr auto OK = ReturnCode_t::RETCODE_OK;
#else
namespace rtps = eprosima::fastdds::rtps;
constexpr auto OK = RETCODE_OK;
#endif
using Bytes = std::vector<uint8_t>;

namespace {

constexpr uint32_t MOST = 4 << 20;

uint32_t size_of(const void* sample)
{
    return static_cast<uint32_t>(static_cast<const Bytes*>(sample)->size());
}

bool write_out(const void* sample, rtps::SerializedPayload_t& payload)
{
    payload.length = size_of(sample);
    memcpy(payload.data, static_cast<const Bytes*>(sample)->data(), payload.length);
    return true;
}

bool read_in(const rtps::SerializedPayload_t& payload, void* sample)
{
    static_cast<Bytes*>(sample)->assign(payload.data, payload.data + payload.length);
    return true;
}

// A sample as it is, without a header of CDR and without a key.
struct Raw : TopicDataType {
#if FAST_DDS_2
    Raw()
    {
        setName("Raw");
        m_typeSize = MOST;
    }
    bool serialize(void* sample, rtps::SerializedPayload_t* payload) override { return write_out(sample, *payload); }
    bool deserialize(rtps::SerializedPayload_t* payload, void* sample) override { return read_in(*payload, sample); }
    std::function<uint32_t()> getSerializedSizeProvider(void* sample) override
    {
        return [sample] { return size_of(sample); };
    }
    void* createData() override { return new Bytes; }
    void deleteData(void* sample) override { delete static_cast<Bytes*>(sample); }
    bool getKey(void*, rtps::InstanceHandle_t*, bool) override { return false; }
#else
    Raw()
    {
        set_name("Raw");
        max_serialized_type_size = MOST;
    }
    bool serialize(const void* sample, rtps::SerializedPayload_t& payload, DataRepresentationId_t) override
    {
        return write_out(sample, payload);
    }
    bool deserialize(rtps::SerializedPayload_t& payload, void* sample) override { return read_in(payload, sample); }
    uint32_t calculate_serialized_size(const void* sample, DataRepresentationId_t) override { return size_of(sample); }
    void* create_data() override { return new Bytes; }
    void delete_data(void* sample) override { delete static_cast<Bytes*>(sample); }
    bool compute_key(rtps::SerializedPayload_t&, rtps::InstanceHandle_t&, bool) override { return false; }
    bool compute_key(const void*, rtps::InstanceHandle_t&, bool) override { return false; }
#endif
};

struct Listener : DataReaderListener {
    Bytes bytes;
    void on_data_available(DataReader* reader) override
    {
        SampleInfo info;
        while (reader->take_next_sample(&bytes, &info) == OK)
            if (info.valid_data)
                tell(bytes.data(), bytes.size());
    }
};

template <class Qos> Qos like_ros(Qos qos, bool best_effort)
{
    qos.endpoint().history_memory_policy = rtps::PREALLOCATED_WITH_REALLOC_MEMORY_MODE;
    qos.reliability().kind = best_effort ? BEST_EFFORT_RELIABILITY_QOS : RELIABLE_RELIABILITY_QOS;
    qos.history().kind = KEEP_LAST_HISTORY_QOS;
    qos.history().depth = best_effort ? 5 : 10;
    qos.durability().kind = VOLATILE_DURABILITY_QOS;
    return qos;
}

int failed(const char* what)
{
    fprintf(stderr, "fast: %s\n", what);
    return 1;
}

}

int main(int argc, char** argv)
{
    if (argc != 3 && argc != 6) {
        failed("fast pub SIZE HZ SECONDS HOW | fast sub HOW");
        return 2;
    }
    bool best_effort = !strcmp(argv[argc - 1], "best-effort");
    auto participant = DomainParticipantFactory::get_instance()->create_participant(0, PARTICIPANT_QOS_DEFAULT);
    if (!participant)
        return failed("no participant");
    TypeSupport(new Raw).register_type(participant);
    auto topic = participant->create_topic("lm", "Raw", TOPIC_QOS_DEFAULT);
    if (argc == 3) {
        Listener listener;
        auto qos = like_ros(DATAREADER_QOS_DEFAULT, best_effort);
        if (!participant->create_subscriber(SUBSCRIBER_QOS_DEFAULT)->create_datareader(topic, qos, &listener))
            return failed("no reader");
        for (;;)
            pause();
    }
    Bytes bytes(static_cast<size_t>(atol(argv[2])));
    double hz = atof(argv[3]), seconds = atof(argv[4]);
    auto qos = like_ros(DATAWRITER_QOS_DEFAULT, best_effort);
    // Samples of more than one datagram need a thread of Fast DDS's.
    qos.publish_mode().kind = ASYNCHRONOUS_PUBLISH_MODE;
    auto writer = participant->create_publisher(PUBLISHER_QOS_DEFAULT)->create_datawriter(topic, qos);
    if (!writer)
        return failed("no writer");
    PublicationMatchedStatus matched;
    for (int i = 0; i < 200 && !matched.current_count; i++) {
        usleep(50000);
        writer->get_publication_matched_status(matched);
    }
    if (!matched.current_count)
        return failed("nobody subscribes");
    usleep(500000);
    double began = now();
    for (uint64_t n = 0; static_cast<double>(n) < seconds * hz; n++) {
        fill(bytes.data(), bytes.size(), n);
        await(began, hz, n);
        writer->write(&bytes);
    }
    // What was lost is sent again.
    sleep(1);
    // Its threads end with the process.
    _Exit(0);
}
