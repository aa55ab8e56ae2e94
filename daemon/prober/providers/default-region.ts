/** Amazon's first region, in which its tools and restic sign where they are told none. */
export const DEFAULT_REGION = 'us-east-1';
