// What a browser lacks. `npm run build` puts what is used of the package into this file's place.
export { unzlibSync, zlibSync } from "fflate";
