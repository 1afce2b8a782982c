/** Line icons, 24 by 24, in the colour of the text. */
const PATHS = {
  open: "M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2zM12 10.5v6M9 13.5h6",
  click: "M5 4l6.2 15 2.2-6.3L19.5 10.5zM15 15l4.5 4.5",
  minus: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8 12h8",
  plus: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8 12h8M12 8v8",
  brush: "M9.5 14.5l9-9a1.8 1.8 0 0 1 2.5 0 1.8 1.8 0 0 1 0 2.5l-9 9M9.5 14.5c-3-.2-4.5 1.5-4.5 5.5 3.5.4 6-.6 7-3z",
  eraser:
    "M8 20h12M5.5 17.5l-2-2a1.5 1.5 0 0 1 0-2.1l9.9-9.9a1.5 1.5 0 0 1 2.1 0l4.5 4.5a1.5 1.5 0 0 1 0 2.1L12 18.5 10.5 20H8z",
  hand: "M8 13V6.5a1.5 1.5 0 0 1 3 0V11m0-5.5a1.5 1.5 0 0 1 3 0V11m0-4a1.5 1.5 0 0 1 3 0v6.5c0 4.5-2.5 7.5-6.5 7.5-3 0-4.5-1.5-6-4.5L3 13.7a1.6 1.6 0 0 1 2.7-1.6L8 15",
  undo: "M9 14L4.5 9.5 9 5M4.5 9.5H15a5 5 0 0 1 0 10h-4",
  redo: "M15 14l4.5-4.5L15 5M19.5 9.5H9a5 5 0 0 0 0 10h4",
  everything: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM17 13.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z",
  help: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9.7 9.5a2.4 2.4 0 1 1 3.4 2.2c-.8.4-1.1.9-1.1 1.8M12 16.5v.1",
  eye: "M2.5 12s3.5-6.5 9.5-6.5S21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 14.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6z",
  hidden:
    "M4 4l16 16M9.9 5.7A9 9 0 0 1 12 5.5c6 0 9.5 6.5 9.5 6.5a16 16 0 0 1-2.6 3.3M6.3 7.3A15 15 0 0 0 2.5 12s3.5 6.5 9.5 6.5a9 9 0 0 0 4.3-1.1",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  unlocked: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 6.8-1.2",
  trash: "M4.5 7h15M9.5 7V4.5h5V7M6.5 7l.8 12.5h9.4L17.5 7M10 11v5M14 11v5",
  up: "M6 14.5l6-6 6 6",
  down: "M6 9.5l6 6 6-6",
  close: "M6 6l12 12M18 6L6 18",
  save: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  check: "M5 12.5l4.5 4.5L19 7.5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  next: "M12 5v14M5 12h14",
  whole: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M7.5 5v14M16.5 5v14",
  stop: "M6 6h12v12H6z",
  previous: "M14.5 6l-6 6 6 6",
  following: "M9.5 6l6 6-6 6",
  track: "M4 12h11M11 6.5l5.5 5.5L11 17.5M20 5v14",
  trackBack: "M20 12H9M13 6.5L7.5 12l5.5 5.5M4 5v14",
  clip: "M3.5 5h17v14h-17zM8 5v14M16 5v14M3.5 9.5H8M3.5 14.5H8M16 9.5h4.5M16 14.5h4.5",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 16.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
