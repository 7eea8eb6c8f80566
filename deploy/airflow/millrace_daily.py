"""What Millrace does once a day: Apache Airflow 3.1 runs it for each day (UTC) after its end.

Every task is one command `millrace` that may run again: the same day twice changes nothing.
See README.md beside this file for the settings, and for the same by cron.
"""

import os
from datetime import timedelta

import pendulum
from airflow.exceptions import AirflowFailException
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable

# Events of a day may come for so many days after its end (README.md of Millrace: lateness).
LATENESS_DAYS = 7
RETRIES = int(os.environ.get("DAILY_RETRIES", "3"))

# How to call it, such as `docker compose exec -T serve node dist/cli/millrace.js`.
MILLRACE = "{{ var.value.get('millrace_command', 'millrace') }}"
LOSS_MAX = "{{ var.value.get('millrace_loss_max', '0.02') }}"
ENGINE = "{{ var.value.get('millrace_engine', 'embedded') }}"
DAYS = "{{ var.value.get('millrace_days', '90') }}d"


def millrace(task_id, command, minutes, **more):
    """A task that is one command, which finds Millrace by the environment: MILLRACE_API_URL and so on."""
    return BashOperator(
        task_id=task_id,
        bash_command=f"exec {MILLRACE} {command}",
        execution_timeout=timedelta(minutes=minutes),
        **more,
    )


with DAG(
    dag_id="millrace_daily",
    description="Close and check days, build, compare and publish the model, apply retention",
    # ds is the day D; its run begins at 00:30 UTC of the day after.
    schedule=CronDataIntervalTimetable("30 0 * * *", timezone="UTC"),
    start_date=pendulum.parse(os.environ.get("DAILY_START", "2026-01-01"), tz="UTC"),
    catchup=os.environ.get("DAILY_CATCHUP", "true") == "true",
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args={
        "retries": RETRIES,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
    },
    tags=["millrace"],
    doc_md=__doc__,
) as dag:
    close = millrace(
        "close", f"close --until {{{{ macros.ds_add(ds, -{LATENESS_DAYS}) }}}} --wait 300", 60
    )
    check = millrace("check", f"check --until {{{{ ds }}}} --loss-max {LOSS_MAX}", 60)
    build = millrace(
        "build",
        f"recommend build --once --engine {ENGINE} --last {DAYS} --day {{{{ ds }}}}",
        180,
        # The last line that it prints is the version.
        do_xcom_push=True,
    )
    # 3: it is worse than the one in service, which stays.
    publish = millrace(
        "publish",
        "recommend publish '{{ ti.xcom_pull(task_ids=\"build\") }}'",
        60,
        skip_on_exit_code=3,
    )
    # Also when the old model was kept; not when something failed.
    retain = millrace("retain", "retain", 60, trigger_rule="none_failed")

    @task(retries=0, trigger_rule="all_skipped")
    def alert():
        """Fails the run, which is what Airflow's callbacks and notifiers are told about."""
        raise AirflowFailException(
            "the new model is worse than the one in service, which stays; see the log of publish"
        )

    close >> check >> build >> publish >> [retain, alert()]
