// SHA-256 (FIPS 180-4) and Keccak-256, as Ethereum uses it. Written out: a page that was saved, or
// came without TLS, has no crypto.subtle, and no browser has Keccak.

const MASK = (1n << 64n) - 1n;
const RATE_BYTES = 136; // of Keccak-256: 1600 bits less twice 256
const rounds = keccakRounds();
const { primes, squares } = sha256Constants();

/** SHA-256 of bytes. */
export function sha256(data) {
  const hash = Uint32Array.from(squares);
  const length = Math.ceil((data.length + 9) / 64) * 64;
  const padded = new DataView(new ArrayBuffer(length));
  new Uint8Array(padded.buffer).set(data);
  padded.setUint8(data.length, 0x80);
  padded.setBigUint64(length - 8, BigInt(data.length) * 8n);
  for (let at = 0; at < length; at += 64) sha256Block(hash, padded, at);
  const result = new DataView(new ArrayBuffer(32));
  hash.forEach((word, place) => result.setUint32(place * 4, word));
  return new Uint8Array(result.buffer);
}

function sha256Block(hash, data, at) {
  const turn = (word, by) => (word >>> by) | (word << (32 - by));
  const words = new Uint32Array(64);
  for (let i = 0; i < 16; i++) words[i] = data.getUint32(at + i * 4);
  for (let i = 16; i < 64; i++) {
    const [early, late] = [words[i - 15], words[i - 2]];
    const small0 = turn(early, 7) ^ turn(early, 18) ^ (early >>> 3);
    const small1 = turn(late, 17) ^ turn(late, 19) ^ (late >>> 10);
    words[i] = words[i - 16] + small0 + words[i - 7] + small1;
  }
  let [a, b, c, d, e, f, g, h] = hash;
  for (let i = 0; i < 64; i++) {
    const large1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const first = (h + large1 + ((e & f) ^ (~e & g)) + primes[i] + words[i]) | 0;
    const large0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const second = (large0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, place) => (hash[place] += word));
}

/** The first 32 bits of the fractional parts of cube roots and square roots of the first primes. */
function sha256Constants() {
  const found = [];
  for (let n = 2; found.length < 64; n++) {
    if (found.every((prime) => n % prime)) found.push(n);
  }
  const fraction = (n, power) => {
    // The root of n * 2^(32 * power) in whole numbers: its low 32 bits are the fraction.
    const wanted = BigInt(n) << (32n * power);
    let [low, high] = [0n, 1n << 40n];
    while (low < high) {
      const middle = (low + high + 1n) >> 1n;
      if (middle ** power <= wanted) low = middle;
      else high = middle - 1n;
    }
    return Number(low & 0xffffffffn);
  };
  return {
    primes: Uint32Array.from(found, (prime) => fraction(prime, 3n)),
    squares: found.slice(0, 8).map((prime) => fraction(prime, 2n)),
  };
}

/** Keccak-256 of bytes (the Keccak submission, version 3: not SHA3-256, whose padding differs). */
export function keccak256(data) {
  const length = (Math.floor(data.length / RATE_BYTES) + 1) * RATE_BYTES;
  const padded = new Uint8Array(length);
  padded.set(data);
  padded[data.length] ^= 0x01;
  padded[length - 1] ^= 0x80;
  const view = new DataView(padded.buffer);
  const lanes = new Array(25).fill(0n);
  for (let at = 0; at < length; at += RATE_BYTES) {
    for (let i = 0; i < RATE_BYTES / 8; i++) lanes[i] ^= view.getBigUint64(at + i * 8, true);
    keccakF(lanes);
  }
  const result = new DataView(new ArrayBuffer(32));
  for (let i = 0; i < 4; i++) result.setBigUint64(i * 8, lanes[i], true);
  return new Uint8Array(result.buffer);
}

/** Keccak-f[1600] over 25 lanes, lane x + 5y. */
function keccakF(lanes) {
  const turn = (lane, by) => ((lane << by) | (lane >> (64n - by))) & MASK;
  for (const constant of rounds) {
    const sums = [0, 1, 2, 3, 4].map(
      (x) => lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20],
    );
    for (let i = 0; i < 25; i++) {
      lanes[i] ^= sums[((i % 5) + 4) % 5] ^ turn(sums[((i % 5) + 1) % 5], 1n); // theta
    }
    let [x, y, moved] = [1, 0, lanes[1]];
    for (let step = 1; step <= 24; step++) {
      [x, y] = [y, (2 * x + 3 * y) % 5]; // pi
      const place = x + 5 * y;
      const by = BigInt(((step * (step + 1)) / 2) % 64); // rho
      [lanes[place], moved] = [turn(moved, by), lanes[place]];
    }
    for (let row = 0; row < 25; row += 5) {
      const [a, b, c, d, e] = lanes.slice(row, row + 5);
      lanes[row] = a ^ (~b & c); // chi
      lanes[row + 1] = b ^ (~c & d);
      lanes[row + 2] = c ^ (~d & e);
      lanes[row + 3] = d ^ (~e & a);
      lanes[row + 4] = e ^ (~a & b);
    }
    lanes[0] ^= constant; // iota
  }
}

/** The constants of the 24 rounds, from the linear feedback shift register of the specification. */
function keccakRounds() {
  let register = 1;
  const bit = () => {
    const out = register & 1;
    register = register & 0x80 ? ((register << 1) ^ 0x171) & 0xff : register << 1;
    return out;
  };
  return Array.from({ length: 24 }, () => {
    let constant = 0n;
    for (let j = 0; j <= 6; j++) if (bit()) constant |= 1n << ((1n << BigInt(j)) - 1n);
    return constant;
  });
}
