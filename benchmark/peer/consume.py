"""The consumer that people write by hand behind a click stream collector: kafka-python reads, avro
decodes each message with the schema, an object of cqlengine is saved for each event, and kafka-python
commits by itself every five seconds. All three as their documentation shows them, all settings at
their defaults; only `auto_offset_reset` differs, to read a topic that was filled before.

Sources: kafka-python's README ("KafkaConsumer"), Avro's "Getting Started (Python)",
cassandra-driver's "Object Mapper".

Stores the first --records events of the topic and prints one JSON line. Its clock starts with the
first message, so that joining the group does not count.
"""

import argparse
import io
import json
import resource
import time
from datetime import datetime, timezone

from avro.io import BinaryDecoder, DatumReader
from avro.schema import parse
from cassandra.cqlengine import columns, connection
from cassandra.cqlengine.models import Model
from kafka import KafkaConsumer


class ClickStream(Model):
    """The six columns of the table that this consumer is known for, and the day as partition.

    The key is Millrace's, so that both write the same rows: with the original one (day,
    millisecond) events of one millisecond overwrite each other.
    """

    __table_name__ = "click_stream"
    __options__ = {}
    pk = columns.Text(partition_key=True)
    event_date = columns.DateTime(primary_key=True)
    event_id = columns.Text(primary_key=True)
    click_stream_cookie_id = columns.Text(primary_key=True)
    event_name = columns.Text()
    item_id = columns.Text()
    url = columns.Text()
    client_ip = columns.Text()


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser()
    for name in ("brokers", "topic", "group", "host", "port", "keyspace", "schema", "records"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    total = int(args.records)

    connection.setup([args.host], args.keyspace, port=int(args.port), protocol_version=4)
    with open(args.schema, encoding="utf-8") as file:
        reader = DatumReader(parse(file.read()))
    consumer = KafkaConsumer(
        args.topic,
        bootstrap_servers=args.brokers.split(","),
        group_id=args.group,
        auto_offset_reset="earliest",
    )

    started_at = None
    saved = 0
    for message in consumer:
        if started_at is None:
            started_at, cpu_before = time.monotonic(), cpu_seconds()
        event = reader.read(BinaryDecoder(io.BytesIO(message.value)))
        event_date = datetime.fromtimestamp(event["eventTime"] / 1000, timezone.utc)
        ClickStream.create(
            pk=event_date.strftime("%Y-%m-%d"),
            event_date=event_date,
            event_id=event["eventId"],
            click_stream_cookie_id=event["partyId"],
            event_name=event["eventType"],
            item_id=event["itemId"],
            url=event["location"],
            client_ip=event["remoteHost"],
        )
        saved += 1
        if saved == total:
            break
    seconds = time.monotonic() - started_at
    cpu = cpu_seconds() - cpu_before
    consumer.close()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"events": saved, "seconds": seconds, "cpuSeconds": cpu, "peakMiB": peak_mib}))


if __name__ == "__main__":
    main()
