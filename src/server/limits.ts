/** What a request may ask for, and how much the server takes on at once. */
export interface Limits {
  /** bytes of a body */
  bodyBytes: number;
  /** bytes of all bodies that are being received or worked on */
  bufferedBytes: number;
  /** for a body to arrive */
  bodySeconds: number;
  /** pixels of an image */
  pixels: number;
  /** prompts of a request */
  prompts: number;
  /** points of all its prompts together */
  points: number;
  /** `everything`: points of the grids of all crops */
  gridPoints: number;
  /** `everything`: layers of crops; each crop is encoded like an image */
  cropLayers: number;
  /** `everything`: points that are decoded together */
  pointsPerBatch: number;
  /** prompts on known images that may wait. Few: their callers want them at once, or can ask again */
  waitingClicks: number;
  /** other requests that may wait, for each of the two models */
  waiting: number;
  /** frames of a video that are followed in a request */
  frames: number;
  /** objects of a video */
  objects: number;
  /** bytes of an image or a video that is fetched */
  fetchedBytes: number;
  /** for what is fetched to arrive */
  fetchSeconds: number;
}

export const LIMITS: Limits = {
  bodyBytes: 64 * 2 ** 20,
  bufferedBytes: 256 * 2 ** 20,
  bodySeconds: 30,
  pixels: 50_000_000,
  prompts: 64,
  points: 1000,
  gridPoints: 20_000,
  cropLayers: 2,
  pointsPerBatch: 256,
  waitingClicks: 1,
  waiting: 16,
  frames: 100,
  objects: 16,
  fetchedBytes: 512 * 2 ** 20,
  fetchSeconds: 60,
};
