/** A still from the camera. The stream ends with this view. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons.tsx";

export function Camera({ onTaken }: { onTaken(file: File): void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [problem, setProblem] = useState("");
  const [isReady, setReady] = useState(false);
  useEffect(() => {
    let stream: MediaStream | undefined;
    let isOver = false;
    const begin = async () => {
      stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 1920 }, facingMode: "environment" },
      });
      if (isOver) return end();
      stream
        .getVideoTracks()[0]
        .addEventListener("ended", () => setProblem("The camera is gone. Plug it in and try again."));
      video.current!.srcObject = stream;
    };
    const end = () => stream?.getTracks().forEach((track) => track.stop());
    begin().catch(() => setProblem("There is no camera, or the browser was not allowed to use it."));
    return () => {
      isOver = true;
      end();
    };
  }, []);
  const take = async () => {
    const { videoWidth: width, videoHeight: height } = video.current!;
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d")!.drawImage(video.current!, 0, 0);
    onTaken(new File([await canvas.convertToBlob({ type: "image/png" })], "Camera.png", { type: "image/png" }));
  };
  if (problem) return <p role="alert">{problem}</p>;
  return (
    <div class="camera">
      <video ref={video} autoplay muted playsInline onPlaying={() => setReady(true)} />
      <button type="button" class="filled" disabled={!isReady} onClick={() => void take()}>
        <Icon name="camera" /> Take a picture
      </button>
    </div>
  );
}
