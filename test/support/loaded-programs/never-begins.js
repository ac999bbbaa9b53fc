import * as native from 'hyper:native';

native.encodeText('idle');
