/** Frames of a video file by number: which packet shows which, and where decoding may begin. */

/** A packet of the track, as it lies in the file. @units s */
export interface Packet {
  timestamp: number;
  duration: number;
  isKey: boolean;
}

export interface FrameTimes {
  /** when each frame is shown, in order, each later than the one before. @units s */
  times: Float64Array;
  /** numbers of the frames that need no other, in order */
  keys: number[];
  /** @units s */
  duration: number;
}

/** Packets come in the order of decoding; frames before time 0 are decoded, but not shown. */
export function frameTimes(packets: readonly Packet[]): FrameTimes {
  const shown = packets
    .filter(({ timestamp, duration }) => timestamp >= 0 || timestamp + duration > 0)
    .sort((a, b) => a.timestamp - b.timestamp)
    .filter(({ timestamp }, i, all) => i === 0 || timestamp > all[i - 1].timestamp);
  const last = shown.at(-1);
  return {
    times: Float64Array.from(shown, ({ timestamp }) => timestamp),
    keys: shown.flatMap(({ isKey }, frame) => (isKey ? [frame] : [])),
    duration: last ? last.timestamp + last.duration : 0,
  };
}

/** The frame that is shown at a time: the last one that does not begin after it; the first before all. */
export function frameAt(times: Float64Array, time: number): number {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The frame whose time is nearest: clocks of files and decoders differ by roundings. */
export function nearestFrame(times: Float64Array, time: number): number {
  const before = frameAt(times, time);
  const after = Math.min(before + 1, times.length - 1);
  return times[after] - time < time - times[before] ? after : before;
}

/** The frame where decoding has to begin so that `frame` can be shown. */
export function keyBefore(keys: readonly number[], frame: number): number {
  return keys.findLast((key) => key <= frame) ?? 0;
}

/**
 * The first frame to ask a decoder for, that stands at `position` (it gives this frame next), to get `frame`; undefined to
 * go on from where it stands. Backward, so many frames before it are taken along that the next steps find them.
 */
export function restartAt(
  frame: number,
  position: number | undefined,
  keys: readonly number[],
  room: number,
): number | undefined {
  const key = keyBefore(keys, frame);
  if (position !== undefined && position <= frame && key <= position) return undefined;
  const isBackward = position !== undefined && frame < position;
  return isBackward ? Math.max(key, frame - room + 1) : frame;
}
