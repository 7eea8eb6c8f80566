"""Decodes naked Avro records by a schema, as consumers of Divolte's topics do in Python.

Arguments: the schema's file. Standard input: a record in hex on each line. Output: a JSON line each.
"""
import io
import json
import sys

import avro.io
import avro.schema

with open(sys.argv[1], encoding="utf-8") as file:
    reader = avro.io.DatumReader(avro.schema.parse(file.read()))
for line in sys.stdin:
    decoder = avro.io.BinaryDecoder(io.BytesIO(bytes.fromhex(line.strip())))
    print(json.dumps(reader.read(decoder)))
