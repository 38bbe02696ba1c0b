"""The settings page: limits, password, sessions, and the configuration to read."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliance.control.box import GetConfig, GetLimits, ResetLimits, SetLimits
from appliance.control.client import ControlClient
from appliance.core.errors import OwnerMustAct
from appliance.entrypoints.web import forms
from appliance.entrypoints.web.gate import tried
from appliance.entrypoints.web.guard import secrets_of, sign_in
from appliance.entrypoints.web.routes import blueprint


def settings_pages(box: ControlClient) -> Blueprint:
    """The settings of the box behind `box`, and of this site."""
    views = SettingsViews(box)
    return blueprint(
        "settings",
        "/settings",
        ("", views.show, "GET"),
        ("/limits", views.limits, "POST"),
        ("/password", views.password, "POST"),
        ("/sessions", views.sessions, "POST"),
    )


class SettingsViews:
    """One method per page."""

    def __init__(self, box: ControlClient) -> None:
        self._box = box

    def show(self) -> ResponseReturnValue:
        """Show limits, password and configuration."""
        return render_template(
            "settings.html",
            limits=self._box.call(GetLimits()),
            config=self._box.call(GetConfig()),
            token=secrets_of().metrics_token,
        )

    def limits(self) -> ResponseReturnValue:
        """Set the limits, or reset them to the configuration."""
        if request.form.get("action") == "reset":
            self._box.call(ResetLimits())
            flash("Limits reset to the configuration.", "ok")
        else:
            self._box.call(SetLimits(change=forms.limits(request.form)))
            flash("Limits saved.", "ok")
        return redirect(url_for("settings.show"))

    def password(self) -> ResponseReturnValue:
        """Change the password."""
        form = request.form
        if form.get("new", "") != form.get("again", ""):
            raise OwnerMustAct("The new passwords do not match.")
        old, new = form.get("old", ""), form.get("new", "")
        if tried(lambda: secrets_of().change(old, new), "The current password is wrong."):
            sign_in()
            flash("Password changed. All other sessions were signed out.", "ok")
        return redirect(url_for("settings.show"))

    def sessions(self) -> ResponseReturnValue:
        """Sign out everywhere."""
        secrets_of().end_sessions()
        return redirect(url_for("gate.login"))
