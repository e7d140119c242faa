"""Mailer: how mails leave the application; here, as files in a folder."""

from email.message import EmailMessage
from pathlib import Path


class Mailer:
    """Writes each mail into *folder*. In a real application: SMTP, or the interface of whoever sends your mails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, to: str, subject: str, body: str, message_id: str) -> None:
        """Sent twice with one *message_id*, it is one mail: the second replaces the first. Raises OSError."""
        mail = EmailMessage()
        mail["To"], mail["Subject"], mail["Message-ID"] = to, subject, f"<{message_id}@localhost>"
        mail.set_content(body)
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{message_id}.eml").write_bytes(bytes(mail))
