// The way through a proxy, which Node has none of before 24; its own fetch may be of another version than an agent from here.
// `npm run build` puts what is used of the package into this file's place, so that nobody has to install it.
export { EnvHttpProxyAgent, fetch } from "undici";
