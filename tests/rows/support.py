"""Rows for tests: prompts, pairs and chats, written in every format that can be read."""

import csv
import json

import datasets


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def system(text):
    return {"role": "system", "content": text}


PROMPTS = ["What is AI?", "Explain gravity, please."]


ANSWERS = ["A field.", 'It "pulls", 9.81\nalways.']


PAIRS = [{"prompt": prompt, "response": answer} for prompt, answer in zip(PROMPTS, ANSWERS, strict=True)]


ASKED = [(user(prompt),) for prompt in PROMPTS]


ANSWERED = [(user(prompt), assistant(answer)) for prompt, answer in zip(PROMPTS, ANSWERS, strict=True)]


def messages(rows):
    return [row.messages for row in rows]


def save(path, rows):
    """Write rows in the format that the name of the file says."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows), "utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        datasets.Dataset.from_list(rows).to_parquet(path)
    elif path.name == "saved":
        datasets.Dataset.from_list(rows).save_to_disk(path)
    elif path.name == "saved_splits":
        datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)}).save_to_disk(path)
    else:
        (path / "data").mkdir(parents=True)
        datasets.Dataset.from_list(rows).to_parquet(path / "data" / "train-00000-of-00001.parquet")
    return str(path)


FORMATS = ["rows.json", "rows.jsonl", "rows.csv", "rows.parquet", "folder", "saved", "saved_splits"]


SCORED = [{"question": "a", "answer": "b"}, {"question": "c", "answer": "d"}]
