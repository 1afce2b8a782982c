/** Makes videos to take home: mediabunny writes the file, the browser's VideoEncoder encodes. */
import { answerCalls } from "../media/worker_calls.ts";
import { answersOf, type MakerCalls } from "./calls.ts";
import { film } from "./film.ts";

answerCalls<MakerCalls>(answersOf(film));
