
// QR codes (ISO/IEC 18004) of the versions 1 to 10 with the least correction, as a screen needs no more.

const QR_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const QR_CORRECTION = [0, 7, 10, 15, 20, 26, 18, 20, 24, 30, 18];
const QR_BLOCKS = [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4];
const QR_ALIGNMENT = [[], [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];

// The modules of a code, rows of true for dark. None if the text is too long.
function qrCode(text) {
  for (let version = 1; version <= 10; version++) {
    const data = qrData(text, version);
    if (data) return qrMatrix(qrInterleave(data, version), version);
  }
  return null;
}

function qrCodewords(version) {
  const size = 17 + 4 * version;
  const alignments = QR_ALIGNMENT[version].length;
  const patterns = alignments ? alignments * alignments - 3 : 0;
  const shared = alignments ? 2 * (alignments - 2) * 5 : 0;
  const fixed = 3 * 64 + 2 * (size - 16) + 31 + patterns * 25 - shared + (version >= 7 ? 36 : 0);
  return Math.floor((size * size - fixed) / 8);
}

// The text as data codewords, filled up; none if it does not fit.
function qrData(text, version) {
  const room = qrCodewords(version) - QR_CORRECTION[version] * QR_BLOCKS[version];
  const bits = [];
  const put = (value, length) => {
    for (let bit = length - 1; bit >= 0; bit--) bits.push((value >> bit) & 1);
  };
  if ([...text].every((character) => QR_ALPHABET.includes(character))) {
    const values = [...text].map((character) => QR_ALPHABET.indexOf(character));
    put(2, 4);
    put(values.length, version < 10 ? 9 : 11);
    for (let index = 0; index < values.length; index += 2) {
      if (index + 1 < values.length) put(values[index] * 45 + values[index + 1], 11);
      else put(values[index], 6);
    }
  } else {
    const values = new TextEncoder().encode(text);
    put(4, 4);
    put(values.length, version < 10 ? 8 : 16);
    values.forEach((value) => put(value, 8));
  }
  if (bits.length > room * 8) return null;
  put(0, Math.min(4, room * 8 - bits.length));
  while (bits.length % 8) bits.push(0);
  const data = [];
  for (let index = 0; index < bits.length; index += 8) data.push(parseInt(bits.slice(index, index + 8).join(""), 2));
  for (let pad = 0xec; data.length < room; pad ^= 0xec ^ 0x11) data.push(pad);
  return data;
}

function qrMultiply(one, other) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    product ^= ((other >> bit) & 1) * one;
  }
  return product & 0xff;
}

function qrRemainder(data, degree) {
  const divisor = new Array(degree).fill(0);
  divisor[degree - 1] = 1;
  let root = 1;
  for (let round = 0; round < degree; round++) {
    for (let index = 0; index < degree; index++) {
      divisor[index] = qrMultiply(divisor[index], root) ^ (divisor[index + 1] ?? 0);
    }
    root = qrMultiply(root, 2);
  }
  const rest = new Array(degree).fill(0);
  for (const byte of data) {
    const factor = byte ^ rest.shift();
    rest.push(0);
    divisor.forEach((coefficient, index) => (rest[index] ^= qrMultiply(coefficient, factor)));
  }
  return rest;
}

function qrInterleave(data, version) {
  const blocks = QR_BLOCKS[version];
  const short = Math.floor(data.length / blocks);
  const long = data.length % blocks;
  const parts = [];
  for (let index = 0, from = 0; index < blocks; index++) {
    const length = short + (index >= blocks - long ? 1 : 0);
    parts.push(data.slice(from, from + length));
    from += length;
  }
  const woven = [];
  for (let index = 0; index <= short; index++) woven.push(...parts.filter((part) => index < part.length).map((part) => part[index]));
  const corrections = parts.map((part) => qrRemainder(part, QR_CORRECTION[version]));
  for (let index = 0; index < QR_CORRECTION[version]; index++) woven.push(...corrections.map((part) => part[index]));
  return woven;
}

function qrMatrix(codewords, version) {
  const size = 17 + 4 * version;
  const dark = Array.from({ length: size }, () => new Array(size).fill(false));
  const fixed = Array.from({ length: size }, () => new Array(size).fill(false));
  const set = (x, y, value) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    dark[y][x] = value;
    fixed[y][x] = true;
  };
  qrFixed(set, fixed, size, version);
  qrFormat(set, size, 0);
  let bit = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      for (const x of [right, right - 1]) {
        const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
        if (fixed[y][x]) continue;
        dark[y][x] = bit < codewords.length * 8 && ((codewords[bit >> 3] >> (7 - (bit & 7))) & 1) === 1;
        bit += 1;
      }
    }
  }
  return qrMasked(dark, fixed, size);
}

function qrFixed(set, fixed, size, version) {
  for (let index = 0; index < size; index++) {
    set(6, index, index % 2 === 0);
    set(index, 6, index % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) {
    for (let dy = -4; dy <= 4; dy++) {
      for (let dx = -4; dx <= 4; dx++) {
        const ring = Math.max(Math.abs(dx), Math.abs(dy));
        set(x + dx, y + dy, ring !== 2 && ring !== 4);
      }
    }
  }
  const centers = QR_ALIGNMENT[version];
  for (const x of centers) {
    for (const y of centers) {
      const last = size - 7;
      if ((x === 6 && y === 6) || (x === 6 && y === last) || (x === last && y === 6)) continue;
      for (let dy = -2; dy <= 2; dy++) for (let dx = -2; dx <= 2; dx++) set(x + dx, y + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
    }
  }
  if (version < 7) return;
  let rest = version;
  for (let round = 0; round < 12; round++) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let index = 0; index < 18; index++) {
    const [far, near] = [size - 11 + (index % 3), Math.floor(index / 3)];
    set(far, near, ((bits >> index) & 1) === 1);
    set(near, far, ((bits >> index) & 1) === 1);
  }
}

function qrFormat(set, size, mask) {
  // The least correction is 01.
  const data = (1 << 3) | mask;
  let rest = data;
  for (let round = 0; round < 10; round++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  const bits = ((data << 10) | rest) ^ 0x5412;
  const bit = (index) => ((bits >> index) & 1) === 1;
  for (let index = 0; index <= 5; index++) set(8, index, bit(index));
  set(8, 7, bit(6));
  set(8, 8, bit(7));
  set(7, 8, bit(8));
  for (let index = 9; index < 15; index++) set(14 - index, 8, bit(index));
  for (let index = 0; index < 8; index++) set(size - 1 - index, 8, bit(index));
  for (let index = 8; index < 15; index++) set(8, size - 15 + index, bit(index));
  set(8, size - 8, true);
}

const QR_MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (x, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

// The mask that leaves the least for a camera to stumble over.
function qrMasked(dark, fixed, size) {
  const masked = QR_MASKS.map((mask, index) => {
    const drawn = dark.map((row, y) => row.map((value, x) => (fixed[y][x] ? value : value !== mask(x, y))));
    qrFormat((x, y, value) => (drawn[y][x] = value), size, index);
    return drawn;
  });
  const penalties = masked.map(qrPenalty);
  return masked[penalties.indexOf(Math.min(...penalties))];
}

function qrPenalty(drawn) {
  const size = drawn.length;
  const turned = drawn.map((_, x) => drawn.map((row) => row[x]));
  let penalty = 0;
  for (const line of [...drawn, ...turned]) {
    const text = line.map(Number).join("");
    for (const run of text.match(/0{5,}|1{5,}/g) || []) penalty += run.length - 2;
    for (let from = 0; from + 11 <= size; from++) {
      if (["10111010000", "00001011101"].includes(text.slice(from, from + 11))) penalty += 40;
    }
  }
  for (let y = 0; y + 1 < size; y++) {
    for (let x = 0; x + 1 < size; x++) {
      if (drawn[y][x] === drawn[y][x + 1] && drawn[y][x] === drawn[y + 1][x] && drawn[y][x] === drawn[y + 1][x + 1]) penalty += 3;
    }
  }
  const share = drawn.flat().filter(Boolean).length / (size * size);
  return penalty + 10 * Math.max(0, Math.ceil(Math.abs(share - 0.5) * 20) - 1);
}

// A picture of a code, with the quiet zone around it.
function qrPicture(text, label) {
  const code = qrCode(text);
  if (!code) return null;
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  const dots = code.flatMap((row, y) => row.map((value, x) => (value ? `M${x + 4} ${y + 4}h1v1h-1z` : "")));
  path.setAttribute("d", dots.join(""));
  svg.setAttribute("viewBox", `0 0 ${code.length + 8} ${code.length + 8}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  svg.setAttribute("class", "qr");
  svg.setAttribute("shape-rendering", "crispEdges");
  svg.append(path);
  return svg;
}
