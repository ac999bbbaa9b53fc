/** The C module as its importer sees it: the members of Native as a namespace. */
declare module 'hyper:native' {
  const native: import('./native.ts').Native;
  export = native;
}
