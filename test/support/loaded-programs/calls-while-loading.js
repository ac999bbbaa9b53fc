import * as native from 'hyper:native';

const getpid = 39;
const pid = native.call(getpid);
native.begin(() => pid);
