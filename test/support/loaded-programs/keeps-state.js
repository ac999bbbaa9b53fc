import * as native from 'hyper:native';

/* All of this is made when the binary is built, and changed when it runs. */
const numbers = Array.from({ length: 5000 }, (_, index) => index);
const words = new Map([['one', /^(\w)+$/]]);
const bytes = new Uint8Array(100_000).fill(7);
const [write, exit] = [1, 231];
let isLater = false;
Promise.resolve().then(() => {
  isLater = true;
});

native.begin(() => {
  for (let index = 0; index < 5000; index++) numbers.push(index);
  for (let index = 0; index < 1000; index++) words.set(`word ${index}`, 'x'.repeat(2000));
  for (let index = 0; index < 1000; index++) words.delete(`word ${index}`);
  const sum = numbers.reduce((total, number) => total + number, 0);
  const told = [sum, words.size, words.get('one').test('abc'), bytes[99_999], isLater];
  const text = native.encodeText(JSON.stringify(told));
  native.call(write, 1, text, text.byteLength);
  native.call(exit, 0);
});
