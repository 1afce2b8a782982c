/**
 * Procedural scenes and clips with exact masks, from one integer seed: the same bytes as scenes.py, which tells how a scene
 * is made.
 *
 * Coordinates: the image is the unit square, x right, y down, and pixel (i, j) has its centre at ((j + 0.5) / size,
 * (i + 0.5) / size), so one seed gives the same scene at every size.
 */

/** Frames of a clip. */
export const LENGTH = 40;
/** Bit of the owner map: the pixel belongs to the object's part, a differently coloured piece of it. */
export const PART = 128;

const SHAPES = ["ellipse", "blob", "star", "box", "ring", "crescent", "triangle", "pentagon"] as const;
/** Unit normals of the edges of a triangle and a pentagon. */
const NORMALS = {
  triangle: [
    [0, 1],
    [0.8660254037844386, -0.5],
    [-0.8660254037844386, -0.5],
  ],
  pentagon: [
    [0, 1],
    [0.9510565162951535, 0.3090169943749474],
    [0.5877852522924731, -0.8090169943749475],
    [-0.5877852522924731, -0.8090169943749475],
    [-0.9510565162951535, 0.3090169943749474],
  ],
};

type Pair = [x: number, y: number];
type Rgb = [r: number, g: number, b: number];

interface Texture {
  /** [8, 8] */
  lattice: number[];
  frequency: number;
  amplitude: number;
  stripes: number;
  stripeFrequency: number;
}

interface Item {
  centre: Pair;
  size: number;
  aspect: number;
  turn: number;
  spin: number;
  shape: (typeof SHAPES)[number];
  lobes: number;
  depth: number;
  colour: Rgb;
  texture: Texture;
  shade: [x: number, y: number, edge: number];
  amplitude: Pair;
  frequency: Pair;
  phase: Pair;
  part?: { centre: Pair; size: number; box: boolean; colour: Rgb };
  leave?: { axis: number; reach: number; peak: number; half: number };
  cover?: { peak: number; velocity: Pair };
}

/** All that a seed decides, before anything is drawn. */
export interface Scene {
  seed: number;
  /** the frame of the clip that serves as a still */
  still: number;
  ground: { colour: Rgb; slope: Pair; texture: Texture };
  camera: { amplitude: Pair; frequency: Pair; phase: Pair };
  /** object 0 is the hero of the clip */
  objects: Item[];
  light: { offset: Pair; softness: number; strength: number };
  blur: number;
  noise: number;
}

/** RGB bytes [height, width, 3] and who owns each pixel [height, width]: 0 ground, k + 1 object k, | PART. */
export interface Frame {
  width: number;
  height: number;
  data: Uint8Array;
  owner: Uint8Array;
}

/** An object or a part of one: its code in the owner map, and its pixels (1, else 0). */
export interface Target {
  code: number;
  mask: Uint8Array;
}

/** A 32-bit integer hash: xor-shift-multiply. */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0xd35a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** Draw n of seed s is mix(mix(s) + n · 0x9E3779B9): no hidden state beyond a counter. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = mix(seed);
  }

  integer(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    return mix(this.#state);
  }

  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.integer() / 4294967296);
  }

  below(n: number): number {
    return this.integer() % n;
  }

  chance(p: number): boolean {
    return this.uniform() < p;
  }

  pair(low: number, high: number): Pair {
    return [this.uniform(low, high), this.uniform(low, high)];
  }

  colour(): Rgb {
    return [this.uniform(0.05, 0.95), this.uniform(0.05, 0.95), this.uniform(0.05, 0.95)];
  }

  /** The first of 20 draws that is good, or the last. */
  choose<T>(draw: () => T, good: (value: T) => boolean): T {
    let value = draw();
    for (let tries = 1; tries < 20 && !good(value); tries++) value = draw();
    return value;
  }

  texture(): Texture {
    return {
      lattice: Array.from({ length: 64 }, () => this.uniform(-1, 1)),
      frequency: this.uniform(1.5, 5),
      amplitude: this.uniform(0.05, 0.3),
      stripes: this.chance(0.45) ? this.uniform(0.15, 0.4) : 0,
      stripeFrequency: this.uniform(0.7, 2.5),
    };
  }
}

/** A smooth periodic curve like sin(2π·turns), made of parabolas: −1 … 1, period 1. */
function wave(turns: number): number {
  const x = 2 * (turns - Math.floor(turns)) - 1;
  return -4 * x * (1 - Math.abs(x));
}

/** A unit vector that goes round once while `turns` grows by 1, not quite at constant speed. */
function direction(turns: number): Pair {
  const [x, y] = [wave(turns + 0.25), wave(turns)];
  const length = Math.sqrt(x * x + y * y);
  return [x / length, y / length];
}

function far(a: readonly number[], b: readonly number[], distance: number): boolean {
  return a.reduce((sum, p, i) => sum + (p - b[i]) * (p - b[i]), 0) >= distance * distance;
}

export function describe(seed: number): Scene {
  const random = new Random(seed);
  const ground = { colour: random.colour(), slope: random.pair(-0.3, 0.3), texture: random.texture() };
  const camera = {
    amplitude: random.pair(0, 0.12),
    frequency: random.pair(0.005, 0.025),
    phase: random.pair(0, 1),
  };
  const objects: Item[] = [];
  const count = 3 + random.below(4);
  while (objects.length < count) objects.push(describeItem(random, objects, ground.colour));
  addStory(random, objects);
  return {
    seed,
    still: random.below(LENGTH),
    ground,
    camera,
    objects,
    light: {
      offset: random.pair(-0.04, 0.04),
      softness: random.uniform(0.02, 0.08),
      strength: random.uniform(0, 0.45),
    },
    blur: random.uniform(0.8, 2.2),
    noise: random.uniform(0, 0.12),
  };
}

function describeItem(random: Random, others: readonly Item[], ground: Rgb): Item {
  const size = random.uniform(0.08, 0.24);
  const centre = random.choose(
    () => random.pair(0.1, 0.9),
    (place) => others.every((other) => far(place, other.centre, 0.7 * (size + other.size))),
  );
  const twin = others.length > 0 && random.chance(0.2) ? others[random.below(others.length)] : undefined;
  const colour = twin
    ? (twin.colour.map((c) => Math.min(0.98, Math.max(0.02, c + random.uniform(-0.06, 0.06)))) as Rgb)
    : random.choose(
        () => random.colour(),
        (tint) => far(tint, ground, 0.3) && others.every((other) => far(tint, other.colour, 0.25)),
      );
  const shape = SHAPES[random.below(SHAPES.length)];
  const item: Item = {
    centre,
    size,
    aspect: random.uniform(0.6, 1),
    turn: random.uniform(),
    spin: random.uniform(-0.01, 0.01),
    shape: twin && random.chance(0.7) ? twin.shape : shape,
    lobes: 3 + random.below(4),
    depth: random.uniform(0.12, 0.3),
    colour,
    texture: random.texture(),
    shade: [random.uniform(-0.2, 0.2), random.uniform(-0.2, 0.2), random.uniform(0, 0.25)],
    amplitude: random.pair(0, 0.25),
    frequency: random.pair(0.008, 0.025),
    phase: random.pair(0, 1),
  };
  if (random.chance(0.3) && item.shape !== "ring" && item.shape !== "crescent") {
    const tint = random.choose(
      () => random.colour(),
      (candidate) => far(candidate, colour, 0.35),
    );
    item.part = {
      centre: random.pair(-0.2, 0.2),
      size: random.uniform(0.25, 0.42),
      box: random.chance(0.5),
      colour: tint,
    };
  }
  return item;
}

/** The hero roams, leaves the picture and returns, or is covered by the last object. */
function addStory(random: Random, objects: Item[]): void {
  const [hero, cover] = [objects[0], objects.at(-1)!];
  const story = (["roam", "leave", "cover"] as const)[random.below(3)];
  const peak = random.uniform(14, 24);
  if (story === "leave") {
    const axis = random.below(2);
    const sign = hero.centre[axis] > 0.5 ? 1 : -1;
    const edge = sign > 0 ? 1 - hero.centre[axis] : hero.centre[axis];
    const reach = sign * (edge + 1.3 * hero.size + random.uniform(0.08, 0.16));
    hero.leave = { axis, reach, peak, half: random.uniform(11, 14) };
  }
  if (story === "cover") {
    const [x, y] = direction(random.uniform());
    const speed = random.uniform(0.03, 0.06);
    cover.cover = { peak, velocity: [x * speed, y * speed] };
    cover.size = Math.min(0.34, hero.size * random.uniform(1.25, 1.6));
    cover.shape = (["ellipse", "box"] as const)[random.below(2)];
    cover.aspect = 0.95;
  }
}

/** Centre of an object at time t, before the camera. */
function place({ centre, amplitude, frequency, phase, leave, cover }: Item, hero: Item, t: number): Pair {
  if (cover) {
    const [x, y] = place(hero, hero, t);
    return [x + cover.velocity[0] * (t - cover.peak), y + cover.velocity[1] * (t - cover.peak)];
  }
  const at = (a: 0 | 1) => centre[a] + amplitude[a] * (wave(frequency[a] * t + phase[a]) - wave(phase[a]));
  const position: Pair = [at(0), at(1)];
  if (leave) {
    const s = (t - leave.peak) / leave.half;
    position[leave.axis] += leave.reach * Math.max(0, 1 - s * s);
  }
  return position;
}

/** Implicit function of the shape in its own coordinates: negative inside, about the distance near the outline. */
function level({ shape, lobes, depth }: Item, u: number, v: number): number {
  if (shape === "box") {
    const p = Math.abs(u) - 0.6;
    const q = Math.abs(v) - 0.6;
    const outside = Math.sqrt(Math.max(p, 0) * Math.max(p, 0) + Math.max(q, 0) * Math.max(q, 0));
    return outside + Math.min(Math.max(p, q), 0) - 0.25;
  }
  if (shape === "triangle" || shape === "pentagon") {
    let edge = Number.NEGATIVE_INFINITY;
    for (const [x, y] of NORMALS[shape]) edge = Math.max(edge, x * u + y * v);
    return edge - (shape === "triangle" ? 0.55 : 0.8);
  }
  const r = Math.sqrt(u * u + v * v);
  if (shape === "ellipse") return r - 1;
  if (shape === "ring") return Math.abs(r - 0.7) - 0.3;
  if (shape === "crescent") {
    const d = u - 0.55;
    return Math.max(r - 1, 0.75 - Math.sqrt(d * d + v * v));
  }
  // blob and star: r = 1 − depth + depth · cos(lobes · θ), by cos(kθ) = 2 cos θ cos((k−1)θ) − cos((k−2)θ)
  const c = u / (r + 1e-9);
  let before = 1;
  let cosine = c;
  for (let k = shape === "blob" ? 2 : lobes; k > 1; k--) {
    const next = 2 * c * cosine - before;
    before = cosine;
    cosine = next;
  }
  return r - (1 - depth) - depth * cosine;
}

/** The factor that a texture puts on a colour at (u, v): value noise of one lattice, and stripes. */
function paint({ lattice, frequency, amplitude, stripes, stripeFrequency }: Texture, u: number, v: number): number {
  const x = u * frequency + 100;
  const y = v * frequency + 100;
  const column = Math.trunc(x);
  const row = Math.trunc(y);
  const top = smoothly(x - column, lattice[cell(row, column)], lattice[cell(row, column + 1)]);
  const bottom = smoothly(x - column, lattice[cell(row + 1, column)], lattice[cell(row + 1, column + 1)]);
  const factor = 1 + amplitude * smoothly(y - row, top, bottom);
  return stripes ? factor + stripes * wave(u * stripeFrequency) : factor;
}

/** Place in a lattice that repeats every 8 rows and columns. */
function cell(row: number, column: number): number {
  return ((row & 7) << 3) + (column & 7);
}

/** From a at x = 0 to b at x = 1, level at both ends. */
function smoothly(x: number, a: number, b: number): number {
  return a + x * x * (3 - 2 * x) * (b - a);
}

/** How much of a pixel at signed distance d a thing with an edge of width `soft` covers, 0…1. */
function coverage(d: number, soft: number): number {
  return Math.min(1, Math.max(0, 0.5 - d / soft));
}

/** Time t of a scene. */
export function frame(scene: Scene, t: number, size: number): Frame {
  const { seed, ground, camera, objects, noise } = scene;
  const pan = ([0, 1] as const).map(
    (a) => camera.amplitude[a] * wave(camera.frequency[a] * t + camera.phase[a]),
  ) as Pair;
  const axis = Float64Array.from({ length: size }, (_, i) => (i + 0.5) / size);
  const image = new Float64Array(size * size * 3);
  for (let i = 0, at = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let shade = paint(ground.texture, (axis[j] + pan[0]) * 2, (axis[i] + pan[1]) * 2);
      shade = shade + ground.slope[0] * (axis[j] - 0.5) + ground.slope[1] * (axis[i] - 0.5);
      for (let c = 0; c < 3; c++, at++) image[at] = shade * ground.colour[c];
    }
  }

  const owner = new Uint8Array(size * size);
  for (const k of objects.keys()) drawItem(scene, k, t, pan, axis, image, owner);

  const data = new Uint8Array(image.length);
  const first = mix(seed * LENGTH + t);
  for (let pixel = 0, at = 0; pixel < size * size; pixel++) {
    const bits = mix(first + pixel);
    for (let c = 0; c < 3; c++, at++) {
      const value = image[at] + noise * (((bits >>> (10 * c)) & 1023) / 511.5 - 1);
      data[at] = Math.min(255, Math.max(0, Math.floor(value * 255 + 0.5)));
    }
  }
  return { width: size, height: size, data, owner };
}

/** Draws object k over what is there: its shadow, then itself. */
function drawItem(
  { objects, light, blur }: Scene,
  k: number,
  t: number,
  pan: Pair,
  axis: Float64Array,
  image: Float64Array,
  owner: Uint8Array,
): void {
  const size = axis.length;
  const item = objects[k];
  const [atX, atY] = place(item, objects[0], t);
  const [x, y] = [atX - pan[0], atY - pan[1]];
  const reach = 1.3 * item.size + light.softness;
  const pixel = (place: number) => Math.min(size, Math.max(0, Math.floor(place * size)));
  const [x0, x1, y0, y1] = [pixel(x - reach), pixel(x + reach), pixel(y - reach), pixel(y + reach)];
  const width = x1 - x0;
  if (width === 0 || y0 === y1) return;

  const [c, s] = direction(item.turn + item.spin * t);
  const us = new Float64Array(width * (y1 - y0));
  const vs = new Float64Array(us.length);
  const distances = new Float64Array(us.length);
  for (let i = y0, n = 0; i < y1; i++) {
    for (let j = x0; j < x1; j++, n++) {
      const dx = (axis[j] - x) / item.size;
      const dy = (axis[i] - y) / item.size;
      us[n] = c * dx + s * dy;
      vs[n] = (c * dy - s * dx) / item.aspect;
      distances[n] = level(item, us[n], vs[n]) * (item.size * item.aspect);
    }
  }

  const [ox, oy] = light.offset.map((offset) => Math.floor(offset * size)); // a shadow lies whole pixels away
  for (let i = Math.max(0, y0 + oy); i < Math.min(size, y1 + oy); i++) {
    for (let j = Math.max(0, x0 + ox); j < Math.min(size, x1 + ox); j++) {
      const dark = coverage(distances[(i - oy - y0) * width + (j - ox - x0)], light.softness);
      for (let at = 3 * (i * size + j), end = at + 3; at < end; at++) image[at] *= 1 - light.strength * dark;
    }
  }

  const soft = blur / 256; // blurred alike at every size
  const { part, shade } = item;
  for (let i = y0, n = 0; i < y1; i++) {
    for (let j = x0; j < x1; j++, n++) {
      const u = us[n];
      const v = vs[n];
      const to = i * size + j;
      const cover = coverage(distances[n], soft);
      const factor = paint(item.texture, u, v) + shade[0] * u + shade[1] * v - shade[2] * (u * u + v * v);
      const inside = distances[n] < 0;
      if (inside) owner[to] = k + 1;
      let tint = 0;
      if (part) {
        const p = (u - part.centre[0]) / part.size;
        const q = (v - part.centre[1]) / part.size;
        const unit = part.box ? Math.max(Math.abs(p), Math.abs(q)) - 1 : Math.sqrt(p * p + q * q) - 1;
        const edge = unit * (part.size * item.size * item.aspect);
        tint = coverage(edge, soft);
        if (inside && edge < 0) owner[to] |= PART;
      }
      for (let channel = 0, at = 3 * to; channel < 3; channel++, at++) {
        const plain = item.colour[channel];
        const colour = part ? plain + tint * (part.colour[channel] - plain) : plain;
        image[at] += cover * (colour * factor - image[at]);
      }
    }
  }
}

/** One frame of the seed's clip. */
export function still(seed: number, size: number): Frame {
  const scene = describe(seed);
  return frame(scene, scene.still, size);
}

/** Masks of all objects and parts that show on at least `smallest` of the picture. */
export function targets({ owner }: Frame, smallest = 0.005): Target[] {
  const found: Target[] = [];
  const least = smallest * owner.length;
  const objects = owner.reduce((most, code) => Math.max(most, code & (PART - 1)), 0);
  for (let k = 1; k <= objects; k++) {
    const whole = owner.map((code) => Number((code & (PART - 1)) === k));
    if (area(whole) < least) continue;
    found.push({ code: k, mask: whole });
    const part = owner.map((code) => Number(code === (k | PART)));
    if (area(part) >= least && area(part) < 0.8 * area(whole)) found.push({ code: k | PART, mask: part });
  }
  return found;
}

/** @units pixels */
export function area(mask: Uint8Array): number {
  return mask.reduce((sum, value) => sum + value, 0);
}
