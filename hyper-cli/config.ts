/** Our own environment: what a bare `-e NAME` passes on, and where hyperd is. */
export const ownEnvironment: Readonly<Record<string, string | undefined>> = process.env;
