/**
 * Version of the wire protocol between hyperd and hyperstart. Both ends must speak exactly this
 * one: hyperd boots the init that it was built with, so a mismatch is always a broken installation.
 */
export const protocolVersion = 5;
