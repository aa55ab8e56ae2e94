/** Amazon's first region, for which its tools and restic sign requests if they are given none. */
export const DEFAULT_REGION = 'us-east-1';
