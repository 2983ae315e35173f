"""Brings Superset's own database up to date, makes its admin, and imports the bundle.

All in one process: loading Superset takes longer than any of it. It may run again at any time, and
after a kill. Says a line before each step, and in its last line why it has failed.
"""
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from flask import g
from flask_migrate import upgrade

DATABASE = "databases/Clickstream.yaml"
MASK = "XXXXXXXXXX"


def main() -> None:
    order = json.load(sys.stdin)
    say("loading Superset")
    from superset.app import create_app

    app = create_app()
    with app.app_context():
        say("bringing its own database up to date")
        upgrade()
        say("roles and the admin")
        admin = make_admin(app, order["admin"], order["password"])
        say("importing the dashboards")
        g.user = admin
        import_bundle(Path(order["bundle"]), order["database"])


def make_admin(app: Any, name: str, password: str) -> Any:
    security = app.appbuilder.sm
    app.appbuilder.add_permissions(update_perms=True)
    security.sync_role_definitions()
    admin = security.find_user(username=name)
    if admin is None:
        role = security.find_role("Admin")
        return security.add_user(name, "Click", "Stream", f"{name}@localhost", role, password)
    security.reset_password(admin.id, password)
    return admin


def import_bundle(folder: Path, database: dict[str, Any]) -> None:
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    contents = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*.yaml"))
    }
    # Where the file says 127.0.0.1:8123, for those who import it by hand.
    described = yaml.safe_load(contents[DATABASE])
    described["sqlalchemy_uri"] = (
        f"clickhousedb://{database['user']}:{MASK}@{database['host']}:{database['port']}"
        f"/{database['database']}{'?secure=true' if database['isSecure'] else ''}"
    )
    contents[DATABASE] = yaml.safe_dump(described)
    # Superset asks for a dataset in the database that its schema names, whatever the address says.
    for path in [path for path in contents if path.startswith("datasets/")]:
        dataset = yaml.safe_load(contents[path])
        contents[path] = yaml.safe_dump(dataset | {"schema": database["database"]})
    ImportAssetsCommand(contents, passwords={DATABASE: database["password"]}).run()


def why(error: BaseException) -> str:
    """Superset says "for an unknown reason" where the reason is known, further down."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    messages = getattr(error, "normalized_messages", None)
    text = json.dumps(messages()) if messages else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}"


def say(step: str) -> None:
    print(f"clickstream: {step}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        import traceback

        traceback.print_exc()
        sys.exit(why(error))
