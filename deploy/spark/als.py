"""Recommends by matrix factorisation (Spark MLlib's ALS), to be compared with what Millrace serves.

    millrace recommend evaluate --train train.tsv --test test.tsv --prefixes prefixes.txt
    spark-submit als.py --train train.tsv --prefixes prefixes.txt --out scores.tsv
    millrace recommend evaluate --train train.tsv --test test.tsv --scores scores.tsv

train.tsv is SessionId<TAB>ItemId<TAB>Time with a title line, gzip or not. Sessions are learnt from like
users, but only the factors of items are used and nothing of a session is kept: a prefix stands for
itself, as the sum of its items, the newest first in weight.
"""

import argparse

import numpy as np
from pyspark.ml.feature import StringIndexer
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession, functions as f

ANSWERS = 21  # 20, and the current item, which one of the protocols leaves out
BLOCK = 2_000  # prefixes scored at once: a matrix of so many rows and a column for each item


def main() -> None:
    options = read_options()
    spark = SparkSession.builder.appName("millrace als").getOrCreate()
    items, factors = learn(spark, options)
    spark.stop()
    with open(options.prefixes, encoding="utf-8") as lines:
        prefixes = [line.split() for line in lines if line.strip()]
    with open(options.out, "w", encoding="utf-8") as out:
        for start in range(0, len(prefixes), BLOCK):
            block = prefixes[start : start + BLOCK]
            for prefix, best in zip(block, rank(block, items, factors, options.decay)):
                if best:
                    out.write(f"{' '.join(prefix)}\t{' '.join(best)}\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True)
    parser.add_argument("--prefixes", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--rank", type=int, default=100)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--alpha", type=float, default=40.0)
    parser.add_argument("--regularization", type=float, default=0.1)
    parser.add_argument("--decay", type=float, default=0.6, help="weight of each item beside the next one")
    return parser.parse_args()


def learn(spark: SparkSession, options: argparse.Namespace) -> tuple[list[str], np.ndarray]:
    """The ids of items, and a row of length 1 for each."""
    table = spark.read.csv(options.train, sep="\t", header=True).toDF("session", "item", "time")
    seen = table.groupBy("session", "item").agg(f.count("*").cast("float").alias("times"))
    sessions = StringIndexer(inputCol="session", outputCol="user", stringOrderType="alphabetAsc")
    numbers = StringIndexer(inputCol="item", outputCol="number", stringOrderType="alphabetAsc").fit(seen)
    ratings = numbers.transform(sessions.fit(seen).transform(seen)).select(
        f.col("user").cast("int"), f.col("number").cast("int"), "times"
    )
    model = ALS(
        userCol="user",
        itemCol="number",
        ratingCol="times",
        implicitPrefs=True,
        rank=options.rank,
        maxIter=options.iterations,
        alpha=options.alpha,
        regParam=options.regularization,
        seed=1,
    ).fit(ratings)
    rows = model.itemFactors.orderBy("id").collect()
    labels = numbers.labels  # fetched from the JVM each time it is asked for
    items = [labels[row["id"]] for row in rows]
    factors = np.array([row["features"] for row in rows], dtype=np.float32)
    return items, factors / np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), 1e-9)


def rank(
    prefixes: list[list[str]], items: list[str], factors: np.ndarray, decay: float
) -> list[list[str]]:
    """The best items for each prefix; none where no item of it is known."""
    numbers = {item: number for number, item in enumerate(items)}
    wanted = np.zeros((len(prefixes), factors.shape[1]), dtype=np.float32)
    for row, prefix in enumerate(prefixes):
        for age, item in enumerate(reversed(prefix)):
            if item in numbers:
                wanted[row] += decay**age * factors[numbers[item]]
    scores = wanted @ factors.T
    best = np.argsort(-scores, axis=1, kind="stable")[:, :ANSWERS]
    return [[items[at] for at in places] if wanted[row].any() else [] for row, places in enumerate(best)]


if __name__ == "__main__":
    main()
